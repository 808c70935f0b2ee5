// Smooth a face's probabilities over time: the counterpart of src/mien/inference/video/smoothing.py.

import { MienError } from "../errors.js";

export type SmoothingMode = "off" | "on" | "adaptive";
export const SMOOTHING_MODES: readonly SmoothingMode[] = ["off", "on", "adaptive"];
export const TIME_CONSTANT = 0.25; // seconds

// Time constants of the adaptive mode's two averages as multiples of the given one, its speed-up, and the largest weight
// of one frame in the fast average.
const [SLOW, FAST] = [2, 0.4];
const [SPEED_UP, EXPONENT] = [50, 3];
const MAX_FRAME_WEIGHT = 0.4;

/** An exponential average of a track's probabilities. */
export class Smoother {
  #time: number | null = null;
  #smooth: number[] = [];
  #fast: number[] = [];

  constructor(
    private readonly mode: SmoothingMode = "adaptive",
    private readonly timeConstant = TIME_CONSTANT,
  ) {
    if (!SMOOTHING_MODES.includes(mode))
      throw new MienError("usage", `No smoothing mode named '${mode}'. Modes: ${SMOOTHING_MODES.join(", ")}.`);
    if (!(timeConstant > 0 && timeConstant < Infinity)) {
      throw new MienError("usage", `timeConstant is ${timeConstant}; expected a number of seconds above 0.`);
    }
  }

  /** The smoothed probabilities; `time` in seconds. If it runs backwards, no time passes. */
  update(probabilities: number[], time: number): number[] {
    const total = probabilities.reduce((sum, value) => sum + value, 0);
    const current = probabilities.map((value) => value / total);
    if (this.mode === "off") return current;
    if (this.#time === null) [this.#time, this.#smooth, this.#fast] = [time, current, current];
    let step = Math.max(time - this.#time, 0) / this.timeConstant;
    this.#time = time;
    if (this.mode === "adaptive") {
      this.#fast = towards(this.#fast, current, Math.min(1 - Math.exp(-step / FAST), MAX_FRAME_WEIGHT));
      const distance = this.#fast.reduce((sum, value, index) => sum + Math.abs(value - this.#smooth[index]), 0) / 2;
      step *= (1 + SPEED_UP * distance ** EXPONENT) / SLOW;
    }
    this.#smooth = towards(this.#smooth, current, 1 - Math.exp(-step));
    return this.#smooth;
  }
}

function towards(from: number[], to: number[], weight: number): number[] {
  return from.map((value, index) => value + weight * (to[index] - value));
}
