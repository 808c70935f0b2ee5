// Moving in a video: a slider below the timeline, and the timeline itself, which follows the pointer.

import { clock } from "./axis.js";

// Event: "seek" (detail: seconds).
export class SeekBar extends EventTarget {
  #end = 0; // seconds

  constructor({ seek, chart, playhead }) {
    super();
    Object.assign(this, { seek, chart, playhead });
    seek.addEventListener("input", () => this.#go(seek.valueAsNumber));
    chart.addEventListener("pointerdown", (event) => {
      if (seek.hidden || event.button !== 0) return;
      chart.setPointerCapture(event.pointerId);
      this.#goToPointer(event);
    });
    chart.addEventListener("pointermove", (event) => chart.hasPointerCapture(event.pointerId) && this.#goToPointer(event));
  }

  // Show it for a video of so many seconds, with steps of one frame; 0 seconds: hide it.
  setEnd(seconds, step) {
    this.#end = seconds;
    this.seek.hidden = this.playhead.hidden = seconds === 0;
    this.chart.classList.toggle("movable", seconds > 0);
    this.seek.max = String(seconds);
    this.seek.step = String(step);
  }

  // Show the position of the playback.
  moveTo(seconds) {
    this.seek.value = String(seconds);
    this.seek.setAttribute("aria-valuetext", `${clock(seconds)} of ${clock(this.#end)}`);
    this.playhead.style.left = `${100 * Math.min(seconds / (this.#end || 1), 1)}%`;
  }

  #goToPointer(event) {
    const area = this.chart.getBoundingClientRect();
    const share = (event.clientX - area.left) / area.width;
    this.#go(Math.min(Math.max(share, 0), 1) * this.#end);
  }

  #go(seconds) {
    this.moveTo(seconds);
    this.dispatchEvent(new CustomEvent("seek", { detail: seconds }));
  }
}
