// Pictures as a source: one after the other to the server, side by side on the page.

import { ServerProblem } from "./client.js";
import { readResult } from "./expressions.js";

const MOST = 50;

export class PictureSource {
  #abort = null;
  #items = [];
  #shown = null;

  constructor({ page, view, announcer, session, client }) {
    Object.assign(this, { page, view, announcer, session, client });
  }

  stop() {
    this.#abort?.abort();
    for (const item of this.#items) URL.revokeObjectURL(item.address);
    this.#items = [];
    this.#shown = null;
    this.page.strip.replaceChildren();
    this.page.strip.hidden = true;
    this.page.picture.removeAttribute("src");
  }

  // Recognise pictures; a file that cannot be read is told of, and the rest goes on.
  async start(files, choice) {
    this.stop();
    this.view.reset();
    const abort = new AbortController();
    this.#abort = abort;
    const chosen = files.slice(0, MOST);
    const problems = files.length > MOST ? [`Only the first ${MOST} pictures are recognised at a time.`] : [];
    this.announcer.warn(problems.join("\n"));
    for (const [index, file] of chosen.entries()) {
      const count = chosen.length > 1 ? ` (${index + 1} of ${chosen.length})` : "";
      this.announcer.sayProgress(`Looking at ${file.name}${count}…`);
      try {
        await this.#recognize(file, choice, abort.signal);
      } catch (error) {
        if (abort.signal.aborted) return;
        if (!(error instanceof ServerProblem)) throw error;
        problems.push(`${file.name}: ${error.message}`);
        this.announcer.warn(problems.join("\n"));
        if (error.status === 0 || error.status === 401) break;
      }
    }
    this.announcer.say(this.#items.length ? `Done: ${this.#where() || this.#items[0].result.source}.` : "");
    if (this.#items.length === 0) this.view.setStage(null);
  }

  async #recognize(file, choice, signal) {
    const onWait = (seconds) => this.announcer.say(`The server is busy; ${file.name} is tried again in ${Math.ceil(seconds)} s.`);
    const raw = await this.client.recognizePicture(file, choice, { signal, onWait });
    signal.throwIfAborted();
    const item = { result: readResult(raw, file.name, null), address: URL.createObjectURL(file) };
    this.#items.push(item);
    this.session.add(item.result, choice);
    this.#addToStrip(item);
    await this.#show(this.#shown === null ? item : this.#shown);
  }

  async #show(item) {
    const { picture } = this.page;
    if (this.#shown !== item) {
      this.#shown = item;
      this.view.setStage("picture", item.result.width, item.result.height);
      this.view.setMirrored(false);
      this.page.frame.classList.add("pick");
      picture.alt = item.result.source;
      picture.src = item.address;
      this.view.choose(null);
      // formats that the server reads and the browser does not show stay an empty stage with boxes
      await picture.decode().catch(() => this.announcer.say(`The browser cannot show ${item.result.source}; the results are right.`));
    }
    this.view.showPicture(item.result, this.#items.flatMap((one) => one.result.faces), this.#where());
    for (const one of this.#items) one.button.setAttribute("aria-pressed", String(one === item));
  }

  #addToStrip(item) {
    const button = document.createElement("button");
    button.type = "button";
    const image = document.createElement("img");
    image.src = item.address;
    image.alt = "";
    const name = document.createElement("span");
    name.textContent = item.result.source;
    button.append(image, name);
    button.addEventListener("click", () => this.#show(item));
    item.button = button;
    this.page.strip.append(button);
    this.page.strip.hidden = this.#items.length < 2;
  }

  #where() {
    return this.#items.length > 1 ? `${this.#items.length} pictures` : "";
  }
}
