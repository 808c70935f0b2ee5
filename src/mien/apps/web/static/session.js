// What was recognised since the page was opened, as rows for a CSV file. No pictures.

const MOST_ROWS = 200000;
const PLACE = ["source", "seconds", "face", "x", "y", "width", "height", "score"];
const HEAD = [...PLACE, "label", "confidence", "is_unsure", "is_seen", "model", "detector"];

export class Session {
  constructor() {
    this.clear();
  }

  clear() {
    this.rows = [];
    this.labels = [];
    this.results = 0;
    this.forgotten = 0;
  }

  // Take a result; `choice` names the model and the detector it came from.
  add(result, choice) {
    this.results += 1;
    for (const face of result.faces) {
      for (const label of Object.keys(face.probabilities)) {
        if (!this.labels.includes(label)) this.labels.push(label);
      }
      this.rows.push({ result: { source: result.source, seconds: result.seconds }, face, model: choice.model, detector: choice.detector });
    }
    if (this.rows.length > MOST_ROWS) {
      const surplus = this.rows.length - Math.round(0.9 * MOST_ROWS);
      this.rows.splice(0, surplus);
      this.forgotten += surplus;
    }
  }

  describe() {
    if (this.results === 0) return "No results yet.";
    const lost = this.forgotten ? `; the oldest ${this.forgotten.toLocaleString("en")} rows were dropped` : "";
    const noun = this.results === 1 ? "picture or frame" : "pictures and frames";
    return `${this.results.toLocaleString("en")} ${noun}, ${this.rows.length.toLocaleString("en")} rows of faces${lost}.`;
  }

  toCsv() {
    const lines = [[...HEAD, ...this.labels]];
    for (const { result, face, model, detector } of this.rows) {
      lines.push([
        result.source,
        result.seconds === null ? "" : result.seconds.toFixed(3),
        face.id,
        ...face.box.map(Math.round),
        face.score.toFixed(4),
        face.label,
        face.confidence.toFixed(6),
        face.isUnsure,
        face.isSeen,
        model,
        detector,
        ...this.labels.map((label) => face.probabilities[label]?.toFixed(6) ?? ""),
      ]);
    }
    return lines.map((line) => `${line.map(cell).join(",")}\r\n`).join("");
  }
}

// RFC 4180; a text that a spreadsheet would run as a formula gets an apostrophe (a file can be called "=1+1.jpg").
function cell(value) {
  let text = String(value);
  if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
