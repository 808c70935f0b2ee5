// Expressions over time: one lane per expression, as high as its share at each moment. A camera's last minute moves by;
// a video has its own axis, on which the playback can be moved.

import { marks } from "./axis.js";
import { UNSURE, colourOf, lanesOf, percent, sharesOf, wordOf } from "./expressions.js";

const LIVE_SPAN = 60; // seconds
const LANE = 24; // pixels, as in the style sheet
const FOOT = 20;
// Results further apart than this, in seconds, are not connected.
const GAP = 1.5;
const MAX_LIVE = 4000; // results: a minute at 60 frames a second

export class Timeline {
  // { seconds, faces, all, own, ownOf }: heights of the lanes for all faces, and for the face `ownOf`
  #entries = [];
  #labels = [];
  #selected = null;
  #duration = null; // of a video, in seconds; null: a camera
  #isDrawn = false;

  constructor({ timeline, lanes, "timeline-text": text, "timeline-title": title, "timeline-what": what }) {
    Object.assign(this, { canvas: timeline, lanes, text, title, what });
    this.what.addEventListener("change", () => this.#redraw());
    new ResizeObserver(() => this.#redraw()).observe(this.canvas.parentElement);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#redraw());
  }

  setLabels(labels) {
    const words = [...labels, UNSURE];
    if (words.join() === this.#labels.join()) return;
    this.#labels = words;
    this.clear(this.#duration);
    this.lanes.replaceChildren(
      ...words.map((word) => {
        const item = document.createElement("li");
        item.textContent = word;
        return item;
      }),
    );
  }

  // Start again, with a video of this many seconds, or with a camera (null).
  clear(duration = null) {
    this.#entries = [];
    this.#duration = duration;
    this.title.textContent = duration === null ? "Last minute" : "Whole video";
    this.#isDrawn = false;
  }

  select(id) {
    if (id === this.#selected) return;
    this.#selected = id;
    if (this.what.value === "selected") this.#isDrawn = false;
  }

  // The end of the axis, in seconds.
  get end() {
    const last = this.#entries.at(-1)?.seconds ?? 0;
    return this.#duration === null ? last : Math.max(this.#duration, last);
  }

  add({ seconds, faces }) {
    const last = this.#entries.at(-1);
    if (last && seconds < last.seconds) this.#entries = this.#entries.filter((entry) => entry.seconds < seconds);
    this.#entries.push({ seconds, faces, all: this.#heights(sharesOf(faces)), own: null, ownOf: null });
    this.#isDrawn = false;
    const from = seconds - LIVE_SPAN;
    if (this.#duration === null && (this.#entries[0].seconds < from - 5 || this.#entries.length > MAX_LIVE)) {
      this.#entries = this.#entries.filter((entry) => entry.seconds >= from).slice(-MAX_LIVE);
    }
  }

  // Draw what has changed since the last time.
  draw() {
    const place = this.canvas.parentElement;
    if (this.#isDrawn || place.clientWidth === 0) return;
    this.#isDrawn = true;
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [place.clientWidth, this.#labels.length * LANE + FOOT];
    this.canvas.width = Math.max(Math.round(width * scale), 1);
    this.canvas.height = Math.round(height * scale);
    this.canvas.style.height = `${height}px`;
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    const colours = getComputedStyle(this.canvas);
    this.#drawGrid(pen, width, colours);
    const { sums, counts } = this.#columns(Math.ceil(width));
    for (const [lane, word] of this.#labels.entries()) {
      pen.fillStyle = word === UNSURE ? colours.getPropertyValue("--edge") : colourOf(word);
      // an outline keeps pale colours visible on any background
      pen.strokeStyle = colours.getPropertyValue("--edge");
      drawLane(pen, (lane + 1) * LANE - 1, counts.map((count, x) => (count ? sums[x * this.#labels.length + lane] / count : 0)));
    }
    this.#describe();
  }

  #redraw() {
    this.#isDrawn = false;
    this.draw();
  }

  #drawGrid(pen, width, colours) {
    pen.strokeStyle = colours.getPropertyValue("--line");
    pen.fillStyle = colours.getPropertyValue("--soft");
    pen.font = '12px system-ui, "DejaVu Sans", sans-serif';
    pen.lineWidth = 1;
    pen.beginPath();
    const bottom = this.#labels.length * LANE;
    for (let lane = 1; lane <= this.#labels.length; lane += 1) {
      pen.moveTo(0, lane * LANE - 0.5);
      pen.lineTo(width, lane * LANE - 0.5);
    }
    let free = 0;
    for (const [share, text] of this.#marks(width)) {
      const x = Math.min(Math.round(width * share) + 0.5, width - 0.5);
      pen.moveTo(x, 0);
      pen.lineTo(x, bottom);
      const room = pen.measureText(text).width;
      const left = Math.min(Math.max(x - room / 2, 0), width - room);
      if (left < free) continue;
      pen.fillText(text, left, bottom + 15);
      free = left + room + 8;
    }
    pen.stroke();
  }

  // Where the axis has marks, as shares of its width, with their texts.
  #marks(width) {
    if (this.#duration !== null) return marks(this.end || 1, width).map(([seconds, text]) => [seconds / (this.end || 1), text]);
    return [60, 30, 0].map((back) => [1 - back / LIVE_SPAN, back === 0 ? "now" : `${back} s ago`]);
  }

  // For each column of pixels, the sums of the lanes' heights over the results there, and how many there are.
  #columns(width) {
    const lanes = this.#labels.length;
    const [sums, counts] = [new Float32Array(width * lanes), new Float32Array(width)];
    const [start, span] = this.#duration === null ? [this.end - LIVE_SPAN, LIVE_SPAN] : [0, this.end || 1];
    const position = (seconds) => Math.round((width * (seconds - start)) / span);
    for (const [index, entry] of this.#entries.entries()) {
      const heights = this.what.value === "all" ? entry.all : this.#ownHeights(entry);
      const next = this.#entries[index + 1];
      const isConnected = next !== undefined && next.seconds - entry.seconds < GAP;
      const from = Math.max(position(entry.seconds), 0);
      const to = Math.max(position(isConnected ? next.seconds : entry.seconds + 0.1), from + 1);
      for (let x = from; x < Math.min(to, width); x += 1) {
        counts[x] += 1;
        for (let lane = 0; lane < lanes; lane += 1) sums[x * lanes + lane] += heights[lane];
      }
    }
    return { sums, counts };
  }

  #heights(shares) {
    return Float32Array.from(this.#labels, (word) => shares[word] ?? 0);
  }

  #ownHeights(entry) {
    if (entry.own === null || entry.ownOf !== this.#selected) {
      const face = entry.faces.find((one) => one.id === this.#selected);
      entry.own = this.#heights(face ? lanesOf(face) : {});
      entry.ownOf = this.#selected;
    }
    return entry.own;
  }

  // The same in words: the share of the time in which faces are seen, as in the command's summary of a video.
  #describe() {
    const isAll = this.what.value === "all";
    const times = {};
    for (const [index, { seconds, faces }] of this.#entries.entries()) {
      const before = seconds - (this.#entries[index - 1]?.seconds ?? seconds);
      const lasts = Math.min((this.#entries[index + 1]?.seconds ?? seconds + before) - seconds, 1);
      for (const face of faces) {
        if (face.isSeen && (isAll || face.id === this.#selected)) times[wordOf(face)] = (times[wordOf(face)] ?? 0) + lasts;
      }
    }
    const total = Object.values(times).reduce((sum, time) => sum + time, 0);
    const parts = Object.entries(times).filter(([, time]) => time / total >= 0.005).sort((a, b) => b[1] - a[1]);
    const who = isAll ? "faces are" : `face ${this.#selected} is`;
    const list = parts.map(([word, time]) => `${word} ${percent(time / total)}`).join(", ");
    const text = parts.length ? `Share of the time that ${who} seen: ${list}.` : "";
    this.text.textContent = text;
    this.text.hidden = text === "";
    this.canvas.setAttribute("aria-label", text || "No faces detected.");
  }
}

// One lane on its `base`; `shares` has one entry per column of pixels.
function drawLane(pen, base, shares) {
  pen.beginPath();
  let [start, before] = [0, 0];
  const heights = shares.map((share) => Math.round(2 * share * (LANE - 5)) / 2);
  for (let x = 1; x <= heights.length; x += 1) {
    const height = heights[start];
    if (heights[x] === height) continue;
    if (height > 0) pen.fillRect(start, base - height, x - start, height);
    if (height > 0 || before > 0) {
      pen.moveTo(start, base - before);
      pen.lineTo(start, base - height);
      if (height > 0) pen.lineTo(x, base - height);
    }
    [start, before] = [x, height];
  }
  if (before > 0) {
    pen.moveTo(heights.length, base - before);
    pen.lineTo(heights.length, base);
  }
  pen.stroke();
}
