// Messages: the state, problems, and a summary for screen readers.

import { wordOf } from "./expressions.js";
import { countFaces } from "./panels.js";

const SETTLED = 1.5; // seconds that a change must last before it is announced
const QUIET = 6; // seconds between two summaries
const PROGRESS_EVERY = 3000; // milliseconds

export class Announcer {
  #waiting = "";
  #since = 0;
  #spoken = "";
  #spokenAt = -Infinity;
  #progressAt = -Infinity;

  constructor(status, problem, summary) {
    this.status = status;
    this.problem = problem;
    this.summary = summary;
  }

  say(text) {
    if (this.status.textContent !== text) this.status.textContent = text;
  }

  // Report progress, every few seconds.
  sayProgress(text) {
    const now = performance.now();
    if (now - this.#progressAt < PROGRESS_EVERY) return;
    this.#progressAt = now;
    this.say(text);
  }

  // Show a problem until the next one, or until it is cleared with "".
  warn(text) {
    this.problem.hidden = text === "";
    if (this.problem.textContent !== text) this.problem.textContent = text;
  }

  // Announce the faces in view when they have changed for a while, and not too often; `now` in seconds.
  summarize(faces, now) {
    const words = faces.filter((face) => face.isSeen).map(wordOf).sort();
    const text = words.length ? `${countFaces(words.length)}: ${words.join(", ")}` : countFaces(0);
    if (text !== this.#waiting) {
      this.#waiting = text;
      this.#since = now;
    }
    if (text !== this.#spoken && now - this.#since >= SETTLED && now - this.#spokenAt >= QUIET) {
      this.#spoken = text;
      this.#spokenAt = now;
      this.summary.textContent = text;
    }
  }
}
