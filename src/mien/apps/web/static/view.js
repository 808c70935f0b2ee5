// Everything that shows a result: picture, boxes, chosen face, shares, timeline, words.

import { sharesOf, wordOf } from "./expressions.js";
import { Overlay } from "./overlay.js";
import { ChosenPanel, FaceButtons, SharesPanel } from "./panels.js";
import { Timeline } from "./timeline.js";

// Boxes follow every frame; numbers change no faster than they can be read.
const PANELS_EVERY = 200; // milliseconds
const STILL_PANELS_EVERY = 1000; // for people who asked for less motion

export class View {
  constructor(page, announcer) {
    this.page = page;
    this.announcer = announcer;
    this.overlay = new Overlay(page.overlay, page.frame);
    this.chosenPanel = new ChosenPanel(page.bars, page["chosen-text"], page.threshold);
    this.sharesPanel = new SharesPanel(page.shares, page["shares-text"]);
    this.buttons = new FaceButtons(page.faces, (id) => this.choose(id));
    this.timeline = new Timeline(page.timeline, page.lanes, page["timeline-text"]);
    this.lessMotion = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.chosen = null;
    this.result = null;
    this.panelsAt = -Infinity;
    this.panelsLater = null;
    page.frame.addEventListener("click", (event) => {
      const face = page.frame.classList.contains("pick") ? this.overlay.faceAt(event.clientX, event.clientY) : null;
      if (face) this.choose(face.id);
    });
    page["timeline-what"].addEventListener("change", () => this.timeline.setWhat(page["timeline-what"].value));
  }

  setModel(labels, threshold) {
    this.chosenPanel.setModel(labels, threshold);
    this.sharesPanel.setLabels(labels);
    this.timeline.setLabels(labels);
    this.timeline.draw();
  }

  // Show "picture", "video" or nothing (null) on the stage, with the shape of width : height.
  setStage(what, width = 4, height = 3) {
    const { empty, frame, picture, video } = this.page;
    empty.hidden = what !== null;
    frame.hidden = what === null;
    picture.hidden = what !== "picture";
    video.hidden = what !== "video";
    frame.style.setProperty("--ratio", String(width / height));
    if (what === null) this.#forget();
  }

  // Start anew: another picture, another source.
  reset() {
    this.#forget();
    this.timeline.clear();
  }

  setMirrored(isMirrored) {
    this.page.video.classList.toggle("mirrored", isMirrored);
    this.overlay.isMirrored = isMirrored;
    this.overlay.draw();
  }

  // Show a moment of a camera or a video, and let the timeline grow.
  showMoment(result) {
    this.#take(result);
    const chosen = this.#chosenFace();
    const everyone = result.faces.length ? sharesOf(result.faces) : null;
    this.timeline.add(result.seconds, everyone, chosen && chosenShares(chosen));
    const now = performance.now();
    this.announcer.summarize(result.faces, now / 1000);
    const rest = this.panelsAt + (this.lessMotion.matches ? STILL_PANELS_EVERY : PANELS_EVERY) - now;
    // the last result of all must show too, so what comes too early comes later
    if (rest <= 0) this.#showMomentPanels();
    else this.panelsLater ??= setTimeout(() => this.#showMomentPanels(), rest);
  }

  // Show a picture; shares are counted over `everybody`, the faces of all pictures.
  showPicture(result, everybody, where) {
    this.#waitForNothing();
    this.#take(result);
    this.#showPanels(everybody, where);
  }

  choose(id) {
    this.chosen = id;
    if (!this.result) return;
    this.overlay.show(this.result, this.chosen);
    this.buttons.show(this.result.faces, this.chosen);
    this.chosenPanel.show(this.#chosenFace());
  }

  #take(result) {
    this.result = result;
    if (!this.#chosenFace()) {
      const largest = [...result.faces].sort((a, b) => b.box[2] * b.box[3] - a.box[2] * a.box[3])[0];
      this.chosen = largest?.id ?? this.chosen;
    }
    this.overlay.show(result, this.chosen);
  }

  #showMomentPanels() {
    this.#waitForNothing();
    this.panelsAt = performance.now();
    this.#showPanels(this.result.faces, "");
    this.timeline.draw();
  }

  #waitForNothing() {
    clearTimeout(this.panelsLater);
    this.panelsLater = null;
  }

  #showPanels(people, where) {
    this.buttons.show(this.result.faces, this.chosen);
    this.chosenPanel.show(this.#chosenFace());
    this.sharesPanel.show(people, where);
  }

  #chosenFace() {
    return this.result?.faces.find((face) => face.id === this.chosen) ?? null;
  }

  #forget() {
    this.#waitForNothing();
    this.chosen = null;
    this.result = null;
    this.panelsAt = -Infinity;
    this.overlay.show(null, null);
    this.buttons.show([], null);
    this.chosenPanel.show(null);
    this.sharesPanel.show([], "");
  }
}

// The chosen face's lanes: its probabilities, and "unsure" while it is.
function chosenShares(face) {
  return face.isUnsure ? { ...face.probabilities, [wordOf(face)]: 1 } : face.probabilities;
}
