// Boxes and labels over the picture, on a canvas of the same place and size.

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
    this.chosen = null;
    new ResizeObserver(() => this.draw()).observe(frame);
  }

  show(result, chosen) {
    this.result = result;
    this.chosen = chosen;
    this.draw();
  }

  // The face at a point of the page, or null; of several the smallest.
  faceAt(clientX, clientY) {
    if (!this.result) return null;
    const place = this.canvas.getBoundingClientRect();
    const hits = this.result.faces.filter((face) => {
      const [x, y, width, height] = this.#placed(face.box, place.width, place.height);
      const [left, top] = [clientX - place.left - x, clientY - place.top - y];
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

  #placed([x, y, boxWidth, boxHeight], width, height) {
    const [across, down] = [width / this.result.width, height / this.result.height];
    const left = this.isMirrored ? this.result.width - x - boxWidth : x;
    return [left * across, y * down, boxWidth * across, boxHeight * down];
  }

  #drawFace(pen, face, width, height) {
    const box = this.#placed(face.box, width, height);
    const colour = face.isUnsure ? LIGHT : colourOf(face.label);
    const thickness = face.id === this.chosen ? 4 : 2;
    // a dark rim shows the box on a background of its own colour; dashes say "unsure" without colour
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
