// Everything that shows a result: image, boxes, selected face, shares, timeline, messages.

import { setColours } from "./expressions.js";
import { Overlay } from "./overlay.js";
import { SelectedPanel, FaceButtons, SharesPanel } from "./panels.js";
import { Timeline } from "./timeline.js";

// Boxes are drawn for every frame; numbers change no faster than they can be read.
const PANELS_EVERY = 200; // milliseconds
const STILL_PANELS_EVERY = 1000; // where less motion is requested

export class View {
  constructor(page, announcer) {
    this.page = page;
    this.announcer = announcer;
    this.overlay = new Overlay(page.overlay, page.frame);
    this.selectedPanel = new SelectedPanel(page["selected-panel"], page.bars, page["selected-text"], page.threshold);
    this.sharesPanel = new SharesPanel(page["shares-panel"], page.shares, page["shares-text"]);
    this.buttons = new FaceButtons(page.faces, (id) => this.select(id), (id) => this.overlay.point(id));
    this.timeline = new Timeline(page);
    this.lessMotion = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.selected = null;
    this.result = null;
    this.panelsAt = -Infinity;
    this.pendingUpdate = null;
    page.frame.addEventListener("click", (event) => {
      const face = page.frame.classList.contains("selectable") ? this.overlay.faceAt(event.clientX, event.clientY) : null;
      if (face) this.select(face.id);
    });
  }

  setModel(labels, threshold) {
    setColours(labels);
    this.selectedPanel.setModel(labels, threshold);
    this.sharesPanel.setLabels(labels);
    this.timeline.setLabels(labels);
    this.timeline.draw();
  }

  // Show "image", "video" or nothing (null) on the stage, with an aspect ratio of width : height.
  setStage(what, width = 4, height = 3) {
    const { empty, frame, image, video } = this.page;
    empty.hidden = what !== null;
    frame.hidden = what === null;
    image.hidden = what !== "image";
    video.hidden = what !== "video";
    frame.style.setProperty("--ratio", String(width / height));
    this.page["timeline-panel"].hidden = what !== "video";
    if (what === null) this.#clear();
  }

  // Start again with another source; `duration` is that of a video, in seconds.
  reset(duration = null) {
    this.#clear();
    this.timeline.clear(duration);
  }

  setMirrored(isMirrored) {
    this.page.video.classList.toggle("mirrored", isMirrored);
    this.overlay.isMirrored = isMirrored;
    this.overlay.draw();
  }

  // Show a moment of a camera or a video.
  showMoment(result) {
    this.#take(result);
    const now = performance.now();
    this.announcer.summarize(result.faces, now / 1000);
    const rest = this.panelsAt + (this.lessMotion.matches ? STILL_PANELS_EVERY : PANELS_EVERY) - now;
    // the last result must be shown too, so an early one is shown later
    if (rest <= 0) this.#showMomentPanels();
    else this.pendingUpdate ??= setTimeout(() => this.#showMomentPanels(), rest);
  }

  // Show an image; shares are counted over `faces`, those of all images.
  showImage(result, faces, where) {
    this.#cancelUpdate();
    this.#take(result);
    this.#showPanels(faces, where);
    this.page.shares.hidden = faces.length === 0;
  }

  // Select a face by its number, or none (null).
  select(id) {
    this.selected = id;
    if (!this.result) return;
    this.overlay.show(this.result, this.selected);
    this.#showSelected();
    this.timeline.draw();
  }

  #take(result) {
    this.result = result;
    if (!this.#selectedFace()) {
      const largest = [...result.faces].sort((a, b) => b.box[2] * b.box[3] - a.box[2] * a.box[3])[0];
      this.selected = largest?.id ?? this.selected;
    }
    this.overlay.show(result, this.selected);
  }

  #showMomentPanels() {
    this.#cancelUpdate();
    this.panelsAt = performance.now();
    this.page.shares.hidden = false;
    this.#showPanels(this.result.faces, "");
    this.timeline.draw();
  }

  #cancelUpdate() {
    clearTimeout(this.pendingUpdate);
    this.pendingUpdate = null;
  }

  #showPanels(faces, where) {
    this.#showSelected();
    this.sharesPanel.show(faces, where);
  }

  #showSelected() {
    this.buttons.show(this.result?.faces ?? [], this.selected);
    this.selectedPanel.show(this.#selectedFace(), this.selected);
    this.timeline.select(this.selected);
  }

  #selectedFace() {
    return this.result?.faces.find((face) => face.id === this.selected) ?? null;
  }

  #clear() {
    this.#cancelUpdate();
    this.selected = null;
    this.result = null;
    this.panelsAt = -Infinity;
    this.overlay.show(null, null);
    this.#showPanels([], null);
  }
}
