// Images as a source: recognized one after the other, shown as thumbnails.

import { readResult } from "./expressions.js";
import { Problem } from "./problem.js";

const MAX_IMAGES = 50;

export class ImageSource {
  #abort = null;
  #files = [];
  #items = [];
  #shown = null;

  constructor({ page, view, announcer, session, client }) {
    Object.assign(this, { page, view, announcer, session, client });
  }

  stop() {
    this.#abort?.abort();
    for (const item of this.#items) URL.revokeObjectURL(item.address);
    this.#files = [];
    this.#items = [];
    this.#shown = null;
    this.page.strip.replaceChildren();
    this.page.strip.hidden = true;
    this.page.image.removeAttribute("src");
  }

  // Recognize the same images again, with another model or detector, if there are any.
  async again(choice) {
    if (this.#files.length) await this.start(this.#files, choice);
  }

  // Recognize images; a file that cannot be read is reported, and the others continue.
  async start(files, choice) {
    this.stop();
    this.view.reset();
    const abort = new AbortController();
    this.#abort = abort;
    this.#files = files;
    const accepted = files.slice(0, MAX_IMAGES);
    const problems = files.length > MAX_IMAGES ? [`Only the first ${MAX_IMAGES} images are recognized at a time.`] : [];
    this.announcer.warn(problems.join("\n"));
    for (const [index, file] of accepted.entries()) {
      const count = accepted.length > 1 ? ` (${index + 1} of ${accepted.length})` : "";
      this.announcer.sayProgress(`Processing ${file.name}${count}…`);
      try {
        const frames = await this.#recognize(file, choice, abort.signal);
        if (frames > 1) problems.push(`${file.name}: only the first of its ${frames} frames or pages was used.`);
        this.announcer.warn(problems.join("\n"));
      } catch (error) {
        if (abort.signal.aborted) return;
        if (!(error instanceof Problem)) throw error;
        problems.push(`${file.name}: ${error.message}`);
        this.announcer.warn(problems.join("\n"));
        if (error.isGeneral) break;
      }
    }
    this.announcer.say(this.#items.length ? `Done: ${this.#where() || this.#items[0].result.source}, ${this.#count()}.` : "");
    if (this.#items.length === 0) this.view.setStage(null);
  }

  async #recognize(file, choice, signal) {
    const onWait = (seconds) => this.announcer.say(`The server is busy; trying ${file.name} again in ${Math.ceil(seconds)} s.`);
    const response = await this.client.recognizeImage(file, choice, { signal, onWait });
    signal.throwIfAborted();
    const item = { result: readResult(response, file.name, null), address: URL.createObjectURL(file) };
    this.#items.push(item);
    this.session.add(item.result, choice);
    this.#addToStrip(item);
    await this.#show(this.#shown === null ? item : this.#shown);
    return response.frames ?? 1;
  }

  async #show(item) {
    const { image } = this.page;
    if (this.#shown !== item) {
      this.#shown = item;
      this.view.setStage("image", item.result.width, item.result.height);
      this.view.setMirrored(false);
      this.page.frame.classList.add("selectable");
      image.alt = item.result.source;
      image.src = item.address;
      this.view.select(null);
      // a format that only the server can read leaves an empty stage with boxes
      await image.decode().catch(() => this.announcer.say(`The browser cannot show ${item.result.source}; the results are still valid.`));
    }
    this.view.showImage(item.result, this.#items.flatMap((one) => one.result.faces), this.#where());
    for (const one of this.#items) one.button.setAttribute("aria-pressed", String(one === item));
  }

  #addToStrip(item) {
    const button = document.createElement("button");
    button.type = "button";
    const thumbnail = document.createElement("img");
    thumbnail.src = item.address;
    thumbnail.alt = "";
    const name = document.createElement("span");
    name.textContent = item.result.source;
    button.append(thumbnail, name);
    button.addEventListener("click", () => this.#show(item));
    item.button = button;
    this.page.strip.append(button);
    this.page.strip.hidden = this.#items.length < 2;
  }

  #count() {
    const count = this.#items.reduce((sum, item) => sum + item.result.faces.length, 0);
    return count === 1 ? "1 face" : `${count || "no"} faces`;
  }

  #where() {
    return this.#items.length > 1 ? `${this.#items.length} images` : "";
  }
}
