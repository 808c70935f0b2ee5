// Boxes on a canvas over the image: each has its number; the selected face, and the one under the pointer, has its text.

import { colourOf, describeFace, inkOn } from "./expressions.js";

const FAMILY = 'system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const NARROW = 480; // pixels: smaller letters
const DARK = "#000000";
const LIGHT = "#ffffff";
const GAP = 3; // pixels between a box and its label

export class Overlay {
  #pointed = null; // number of the face under the pointer

  constructor(canvas, frame) {
    this.canvas = canvas;
    this.frame = frame;
    this.result = null;
    this.isMirrored = false;
    this.selected = null;
    new ResizeObserver(() => this.draw()).observe(frame);
    frame.addEventListener("pointermove", (event) => this.point(this.faceAt(event.clientX, event.clientY)?.id ?? null));
    frame.addEventListener("pointerleave", () => this.point(null));
  }

  show(result, selected) {
    this.result = result;
    this.selected = selected;
    this.draw();
  }

  // Show the text of a face too, or of none (null).
  point(id) {
    if (id === this.#pointed) return;
    this.#pointed = id;
    this.draw();
  }

  // The face at a point of the page, or null; the smallest of several.
  faceAt(clientX, clientY) {
    if (!this.result) return null;
    const area = this.canvas.getBoundingClientRect();
    const hits = this.result.faces.filter((face) => {
      const [x, y, width, height] = this.#scaled(face.box, area.width, area.height);
      const [left, top] = [clientX - area.left - x, clientY - area.top - y];
      return left >= 0 && top >= 0 && left <= width && top <= height;
    });
    hits.sort((a, b) => a.box[2] * a.box[3] - b.box[2] * b.box[3]);
    return hits[0] ?? null;
  }

  draw() {
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [this.frame.clientWidth, this.frame.clientHeight];
    const [columns, rows] = [Math.round(width * scale), Math.round(height * scale)];
    if (this.canvas.width !== columns || this.canvas.height !== rows) {
      this.canvas.width = columns;
      this.canvas.height = rows;
    }
    const pen = this.canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    pen.textBaseline = "middle";
    const faces = (this.result?.faces ?? []).map((face) => ({ face, box: this.#scaled(face.box, width, height) }));
    // what is drawn later lies on top: the texts, and of these the selected face's
    faces.sort((a, b) => this.#rank(a.face) - this.#rank(b.face));
    for (const { face, box } of faces) this.#drawBox(pen, face, box);
    const taken = faces.map(({ box }) => box); // boxes and labels, which a text should not cover
    for (const { face, box } of faces) taken.push(this.#drawLabel(pen, face, box, taken, width, height));
  }

  #rank(face) {
    return face.id === this.selected ? 2 : Number(face.id === this.#pointed);
  }

  #scaled([x, y, boxWidth, boxHeight], width, height) {
    const [across, down] = [width / this.result.width, height / this.result.height];
    const left = this.isMirrored ? this.result.width - x - boxWidth : x;
    return [left * across, y * down, boxWidth * across, boxHeight * down];
  }

  #drawBox(pen, face, box) {
    const thickness = face.id === this.selected ? 4 : 2;
    // a dark edge keeps the box visible on a background of its own colour; dashes mean "unsure"
    pen.globalAlpha = face.isSeen ? 1 : 0.5;
    pen.lineWidth = thickness + 2;
    pen.strokeStyle = DARK;
    pen.setLineDash(face.isUnsure ? dashesFor(box) : []);
    pen.strokeRect(...box);
    pen.lineWidth = thickness;
    pen.strokeStyle = face.isUnsure ? LIGHT : colourOf(face.label);
    pen.strokeRect(...box);
    pen.setLineDash([]);
    pen.globalAlpha = 1;
  }

  // Draw a number or a text, and return where: left, top, width, height.
  #drawLabel(pen, face, box, taken, width, height) {
    const isNarrow = width < NARROW;
    const isFull = this.#rank(face) > 0;
    const [letters, tall, pad] = isFull ? (isNarrow ? [12, 20, 7] : [14, 24, 8]) : isNarrow ? [11, 15, 3] : [12, 18, 5];
    pen.font = `600 ${letters}px ${FAMILY}`;
    const text = isFull ? `${face.id}  ${describeFace(face)}` : String(face.id);
    const size = [Math.min(Math.max(pen.measureText(text).width + 2 * pad, tall), width), tall];
    // numbers on moving faces keep their side, even if they cover something
    const isStill = this.result.seconds === null;
    const [left, top] = place(size, box, isFull || isStill ? taken : [box], [width, height], isFull);
    const colour = face.isUnsure ? DARK : colourOf(face.label);
    pen.globalAlpha = face.isSeen ? 1 : 0.5;
    pen.fillStyle = colour;
    pen.strokeStyle = face.isUnsure ? LIGHT : DARK;
    pen.lineWidth = 1;
    if (face.isUnsure) pen.setLineDash([4, 3]);
    pen.beginPath();
    pen.roundRect(left + 0.5, top + 0.5, size[0] - 1, tall - 1, 4);
    pen.fill();
    pen.stroke();
    pen.setLineDash([]);
    pen.fillStyle = inkOn(colour);
    pen.textAlign = "center";
    pen.fillText(text, left + size[0] / 2, top + tall / 2 + 1, Math.max(size[0] - 2, 1));
    pen.globalAlpha = 1;
    return [left, top, ...size];
  }
}

// Dashes that still look like dashes on a box of a few pixels.
function dashesFor([, , width, height]) {
  const dash = Math.min(Math.max(Math.min(width, height) / 6, 3), 10);
  return [dash, 0.7 * dash];
}

// Where a label of a size goes: above its box, below it, or beside it if it may, wherever it covers least of what is `taken`.
function place([labelWidth, labelHeight], [x, y, boxWidth, boxHeight], taken, [width, height], mayBeBeside) {
  const [above, below] = [y - labelHeight - GAP, y + boxHeight + GAP];
  const [start, end] = [x - 1, x + boxWidth + 1 - labelWidth];
  const choices = [[start, above], [start, below], [end, above], [end, below]];
  if (mayBeBeside) choices.push([x + boxWidth + GAP, y], [x - labelWidth - GAP, y]);
  const inside = choices.map(([left, top]) => [clamp(left, width - labelWidth), clamp(top, height - labelHeight)]);
  const covered = (spot) => taken.reduce((sum, box) => sum + overlap([...spot, labelWidth, labelHeight], box), 0);
  const costs = inside.map(covered);
  return inside[costs.indexOf(Math.min(...costs))];
}

function clamp(value, largest) {
  return Math.min(Math.max(value, 0), Math.max(largest, 0));
}

function overlap([x, y, width, height], [otherX, otherY, otherWidth, otherHeight]) {
  const across = Math.min(x + width, otherX + otherWidth) - Math.max(x, otherX);
  const down = Math.min(y + height, otherY + otherHeight) - Math.max(y, otherY);
  return Math.max(across, 0) * Math.max(down, 0);
}
