// The server's API: images, videos, cameras, models.

import { LiveConnection } from "./live.js";
import { Problem } from "./problem.js";

const MAX_TRIES = 6;
const BROKEN = "The connection broke before the end of the video.";

export class Client {
  canAnnotate = true; // draw faces into a video
  canRetry = true; // it may answer later
  key = "";

  async models() {
    return (await this.#ask("v1/models")).json();
  }

  async card(name) {
    return (await this.#ask(`v1/models/${encodeURIComponent(name)}/card`)).json();
  }

  // The result of one image. While the server is busy, wait as long as it says; calls `onWait(seconds)`.
  async recognizeImage(file, { model, detector }, { signal, onWait }) {
    const answer = await this.#retry(`v1/recognize?${query({ model, detector })}`, file, signal, onWait);
    return (await answer.json()).images[0];
  }

  // The results of a video, frame by frame, while the server processes it.
  async *recognizeVideo(file, choice, { signal, onWait }) {
    const answer = await this.#retry(`v1/recognize/video?${query(choice)}`, file, signal, onWait);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read().catch((error) => {
        if (error.name === "AbortError") throw error;
        throw new Problem(0, BROKEN);
      });
      const lines = (rest + (value ?? "")).split("\n");
      rest = done ? "" : lines.pop();
      for (const line of lines) {
        const result = line.trim() ? JSON.parse(line) : {};
        if (result.type === "frame") yield result;
        if (result.type === "error") throw new Problem(result.problem.status, result.problem.detail);
        if (result.type === "end") {
          if (!result.is_complete) throw new Problem(0, `The server processes only ${result.frames} frames of a video; this one has more.`);
          return;
        }
      }
      if (done) throw new Problem(0, BROKEN);
    }
  }

  // The response with a video whose faces are drawn into it.
  async annotateVideo(file, choice, { signal, onWait }) {
    return this.#retry(`v1/recognize/video/annotated?${query(choice)}`, file, signal, onWait);
  }

  // A connection for the frames of a camera.
  connect(settings) {
    return new LiveConnection(settings, this.key);
  }

  async #retry(path, file, signal, onWait) {
    for (let tries = 1; ; tries += 1) {
      try {
        const headers = { "Content-Type": file.type || "application/octet-stream" };
        return await this.#ask(path, { method: "POST", body: file, headers, signal });
      } catch (problem) {
        if (problem.status !== 429 || tries === MAX_TRIES) throw problem;
        const seconds = problem.retryAfter ?? 2 ** tries / 2;
        onWait(seconds);
        await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
        signal.throwIfAborted();
      }
    }
  }

  async #ask(path, { headers = {}, ...options } = {}) {
    const key = this.key ? { Authorization: `Bearer ${this.key}` } : {};
    let answer;
    try {
      answer = await fetch(path, { ...options, headers: { ...headers, ...key }, cache: "no-store" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(0, "The server does not answer. Is it still running?");
    }
    if (!answer.ok) throw await readProblem(answer);
    return answer;
  }
}

async function readProblem(answer) {
  const problem = await answer.json().catch(() => ({}));
  const seconds = Number(answer.headers.get("Retry-After"));
  const detail = problem.detail ?? problem.title ?? `The server answered ${answer.status}.`;
  return new Problem(answer.status, detail, Number.isFinite(seconds) && seconds > 0 ? seconds : null);
}

function query(values) {
  return new URLSearchParams(Object.entries(values).filter(([, value]) => value)).toString();
}
