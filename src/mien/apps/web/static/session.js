// What was recognized since the page was opened, as rows for a CSV file. No images.

const MAX_ROWS = 200000;
const COLUMNS = ["source", "time", "image_width", "image_height", "face", "track", "seen", "x", "y", "width", "height", "roll", "score"];
const HEAD = [...COLUMNS, "label", "confidence", "unsure", "model", "detector"];

export class Session {
  constructor() {
    this.clear();
  }

  clear() {
    this.rows = [];
    this.labels = [];
    this.images = 0;
    this.frames = 0;
    this.dropped = 0;
  }

  // Add a result; `choice` names its model and detector.
  add(result, choice) {
    this[result.seconds === null ? "images" : "frames"] += 1;
    const { source, seconds, width, height } = result;
    const image = { source, seconds, width, height }; // without the other faces
    for (const face of result.faces) {
      for (const label of Object.keys(face.probabilities)) {
        if (!this.labels.includes(label)) this.labels.push(label);
      }
      this.rows.push({ image, face, model: choice.model, detector: choice.detector });
    }
    if (this.rows.length > MAX_ROWS) {
      const surplus = this.rows.length - Math.round(0.9 * MAX_ROWS);
      this.rows.splice(0, surplus);
      this.dropped += surplus;
    }
  }

  get isEmpty() {
    return this.images + this.frames === 0;
  }

  describe() {
    const lost = this.dropped ? `; the oldest ${this.dropped.toLocaleString("en")} rows were dropped` : "";
    const counts = [[this.images, "image"], [this.frames, "frame"], [this.rows.length, "face row"]];
    const texts = counts.filter(([count]) => count > 0).map(([count, noun]) => `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`);
    return `${texts.join(", ")}${lost}.`;
  }

  toCsv() {
    const lines = [[...HEAD, ...this.labels]];
    for (const { image, face, model, detector } of this.rows) {
      lines.push([
        image.source,
        image.seconds === null ? "" : image.seconds.toFixed(3),
        image.width,
        image.height,
        face.number,
        face.track ?? "",
        face.seen === undefined ? "" : Number(face.seen),
        ...face.box.map((value) => value.toFixed(1)),
        face.roll.toFixed(1),
        face.score.toFixed(4),
        face.label,
        face.confidence.toFixed(6),
        Number(face.isUnsure),
        model,
        detector,
        ...this.labels.map((label) => face.probabilities[label]?.toFixed(6) ?? ""),
      ]);
    }
    return lines.map((line) => `${line.map(cell).join(",")}\r\n`).join("");
  }
}

// RFC 4180; text that a spreadsheet would run as a formula gets an apostrophe (a file can be named "=1+1.jpg"), but not
// a negative number.
function cell(value) {
  let text = String(value);
  if (/^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text))) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
