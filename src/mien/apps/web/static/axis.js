// Time axes: where the marks are, and how moments are written.

const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200]; // seconds
const ROOM = 76; // pixels between two marks

// The marks of an axis of `seconds` and `width` pixels: [seconds, text], the first at 0.
export function marks(seconds, width) {
  const step = STEPS.find((one) => (width * one) / seconds >= ROOM) ?? seconds;
  const count = Math.floor(seconds / step + 1e-6);
  return Array.from({ length: count + 1 }, (_, index) => [index * step, clock(index * step, step < 1 ? 1 : 0)]);
}

// "4.2 s", "1:05" or "1:00:05"; `digits` after the point below a minute.
export function clock(seconds, digits = 1) {
  if (seconds < 59.95) return `${seconds.toFixed(digits)}\u00a0s`;
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
