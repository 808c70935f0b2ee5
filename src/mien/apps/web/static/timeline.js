// The last minute: one lane per expression, as high as its share at each moment.

import { UNSURE, colourOf, percent } from "./expressions.js";

const SPAN = 60; // seconds
const LANE = 24; // pixels, as in the style sheet
const FOOT = 20;
// Results further apart than this, in seconds, are not connected.
const GAP = 1.5;
const MAX_ENTRIES = 4000; // results: a minute at 60 frames a second

export class Timeline {
  constructor(canvas, lanes, text) {
    this.canvas = canvas;
    this.lanes = lanes;
    this.text = text;
    this.labels = [];
    this.entries = [];
    this.what = "all";
    new ResizeObserver(() => this.draw()).observe(canvas);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  setLabels(labels) {
    const words = [...labels, UNSURE];
    if (words.join() === this.labels.join()) return;
    this.labels = words;
    this.clear();
    this.lanes.replaceChildren(
      ...words.map((word) => {
        const item = document.createElement("li");
        item.textContent = word;
        return item;
      }),
    );
  }

  clear() {
    this.entries = [];
    this.draw();
  }

  setWhat(what) {
    this.what = what;
    this.draw();
  }

  // Add a moment: seconds, shares over all faces and the selected face's probabilities (null without a face).
  add(seconds, all, selected) {
    const last = this.entries.at(-1);
    if (last && seconds < last.seconds) this.entries = this.entries.filter((entry) => entry.seconds < seconds);
    this.entries.push({ seconds, all, selected });
    const from = seconds - SPAN;
    if (this.entries[0].seconds < from - 5 || this.entries.length > MAX_ENTRIES) {
      this.entries = this.entries.filter((entry) => entry.seconds >= from).slice(-MAX_ENTRIES);
    }
  }

  draw() {
    const scale = window.devicePixelRatio || 1;
    const width = this.canvas.parentElement.clientWidth - 84;
    const height = this.labels.length * LANE + FOOT;
    this.canvas.width = Math.max(Math.round(width * scale), 1);
    this.canvas.height = Math.round(height * scale);
    this.canvas.style.height = `${height}px`;
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    const colours = getComputedStyle(this.canvas);
    this.#drawGrid(pen, width, colours);
    const end = this.entries.at(-1)?.seconds ?? 0;
    for (const [lane, word] of this.labels.entries()) {
      this.#drawLane(pen, width, lane, word, end, colours);
    }
    this.#describe(end);
  }

  #drawGrid(pen, width, colours) {
    pen.strokeStyle = colours.getPropertyValue("--line");
    pen.fillStyle = colours.getPropertyValue("--soft");
    pen.font = '12px system-ui, "DejaVu Sans", sans-serif';
    pen.lineWidth = 1;
    pen.beginPath();
    const bottom = this.labels.length * LANE;
    for (let lane = 1; lane <= this.labels.length; lane += 1) {
      pen.moveTo(0, lane * LANE - 0.5);
      pen.lineTo(width, lane * LANE - 0.5);
    }
    for (const back of [60, 45, 30, 15, 0]) {
      const x = Math.min(Math.round(width * (1 - back / SPAN)) + 0.5, width - 0.5);
      pen.moveTo(x, 0);
      pen.lineTo(x, bottom);
      if (back % 30 && width < 400) continue;
      pen.textAlign = back === 60 ? "left" : back === 0 ? "right" : "center";
      pen.fillText(back === 0 ? "now" : `${back} s ago`, x, bottom + 15);
    }
    pen.stroke();
  }

  #drawLane(pen, width, lane, word, end, colours) {
    const base = (lane + 1) * LANE - 1;
    // whole pixels leave no gaps between neighbours
    const position = (seconds) => Math.max(Math.round(width * (1 - (end - seconds) / SPAN)), 0);
    pen.fillStyle = word === UNSURE ? colours.getPropertyValue("--edge") : colourOf(word);
    // an outline keeps pale colours visible on any background
    pen.strokeStyle = colours.getPropertyValue("--edge");
    pen.beginPath();
    let before = 0;
    for (const [index, entry] of this.entries.entries()) {
      const next = this.entries[index + 1];
      const isConnected = next !== undefined && next.seconds - entry.seconds < GAP;
      const [from, to] = [position(entry.seconds), position(isConnected ? next.seconds : entry.seconds + 0.1)];
      const height = this.#shareOf(entry, word) * (LANE - 5);
      if (to > 0 && height + before >= 0.5) {
        pen.fillRect(from, base - height, Math.max(to - from, 1), height);
        pen.moveTo(from, base - before);
        pen.lineTo(from, base - height);
        pen.lineTo(to, base - height);
        if (!isConnected) pen.lineTo(to, base);
      }
      before = isConnected ? height : 0;
    }
    pen.stroke();
  }

  #shareOf(entry, word) {
    return entry[this.what]?.[word] ?? 0;
  }

  #describe(end) {
    const seen = this.entries.filter((entry) => entry.seconds >= end - SPAN && entry[this.what]);
    const means = this.labels.map((word) => [word, seen.reduce((sum, entry) => sum + this.#shareOf(entry, word), 0) / seen.length]);
    const parts = means.filter(([, mean]) => mean >= 0.005).sort((a, b) => b[1] - a[1]);
    const who = this.what === "all" ? "all faces" : "the selected face";
    const text = parts.length
      ? `Mean over the last minute, ${who}: ${parts.map(([word, mean]) => `${word} ${percent(mean)}`).join(", ")}.`
      : "Fills while a camera or a video runs.";
    this.text.textContent = text;
    this.canvas.setAttribute("aria-label", text);
  }
}
