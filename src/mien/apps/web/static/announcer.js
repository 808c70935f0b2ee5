// What is said in words: the state, problems, and a quiet summary for screen readers.

import { wordOf } from "./expressions.js";
import { countPeople } from "./panels.js";

const SETTLED = 1.5; // seconds that a change must last before it is spoken
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

  // Say how far something is, now and then.
  sayProgress(text) {
    const now = performance.now();
    if (now - this.#progressAt < PROGRESS_EVERY) return;
    this.#progressAt = now;
    this.say(text);
  }

  // Show a problem until the next one or until it is taken back with "".
  warn(text) {
    this.problem.hidden = text === "";
    if (this.problem.textContent !== text) this.problem.textContent = text;
  }

  // Speak of the faces in sight, when they have changed for good and not too often; `now` in seconds.
  summarize(faces, now) {
    const words = faces.map(wordOf).sort();
    const text = faces.length ? `${countPeople(faces.length)}: ${words.join(", ")}` : countPeople(0);
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
