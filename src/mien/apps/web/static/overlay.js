// Boxes and labels, on a canvas over the image.

import { UNSURE, colourOf, describeFace, inkOn } from "./expressions.js";

const FAMILY = 'system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const NARROW = 480; // pixels: smaller letters, fewer words
const DARK = "#000000";
const LIGHT = "#ffffff";

export class Overlay {
  constructor(canvas, frame) {
    this.canvas = canvas;
    this.frame = frame;
    this.result = null;
    this.isMirrored = false;
    this.selected = null;
    new ResizeObserver(() => this.draw()).observe(frame);
  }

  show(result, selected) {
    this.result = result;
    this.selected = selected;
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
    pen.font = `600 ${width < NARROW ? 12 : 14}px ${FAMILY}`;
    pen.textBaseline = "middle";
    for (const face of this.result?.faces ?? []) {
      this.#drawFace(pen, face, width, height);
    }
  }

  #scaled([x, y, boxWidth, boxHeight], width, height) {
    const [across, down] = [width / this.result.width, height / this.result.height];
    const left = this.isMirrored ? this.result.width - x - boxWidth : x;
    return [left * across, y * down, boxWidth * across, boxHeight * down];
  }

  #drawFace(pen, face, width, height) {
    const box = this.#scaled(face.box, width, height);
    const colour = face.isUnsure ? LIGHT : colourOf(face.label);
    const thickness = face.id === this.selected ? 4 : 2;
    // a dark edge keeps the box visible on a background of its own colour; dashes mean "unsure"
    pen.setLineDash([]);
    pen.globalAlpha = face.isSeen ? 1 : 0.5;
    pen.lineWidth = thickness + 2;
    pen.strokeStyle = DARK;
    if (face.isUnsure) pen.setLineDash([10, 7]);
    pen.strokeRect(...box);
    pen.lineWidth = thickness;
    pen.strokeStyle = colour;
    pen.strokeRect(...box);
    pen.setLineDash([]);
    this.#drawLabel(pen, face, box, width, height);
    pen.globalAlpha = 1;
  }

  #drawLabel(pen, face, [x, y, , boxHeight], width, height) {
    const isNarrow = width < NARROW;
    const labelHeight = isNarrow ? 20 : 24;
    const text = `${face.id}  ${isNarrow && face.isUnsure ? UNSURE : describeFace(face)}`;
    const labelWidth = pen.measureText(text).width + 16;
    const above = y - labelHeight - 3;
    const left = Math.min(Math.max(x - 1, 0), Math.max(width - labelWidth, 0));
    const top = above >= 0 ? above : Math.min(y + boxHeight + 3, height - labelHeight);
    const colour = face.isUnsure ? DARK : colourOf(face.label);
    pen.fillStyle = colour;
    pen.strokeStyle = face.isUnsure ? LIGHT : DARK;
    pen.lineWidth = 1;
    if (face.isUnsure) pen.setLineDash([4, 3]);
    pen.beginPath();
    pen.roundRect(left + 0.5, top + 0.5, labelWidth - 1, labelHeight - 1, 4);
    pen.fill();
    pen.stroke();
    pen.setLineDash([]);
    pen.fillStyle = inkOn(colour);
    pen.fillText(text, left + 8, top + labelHeight / 2 + 1);
  }
}
