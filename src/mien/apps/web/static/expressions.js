// Names and colours of apparent expressions, their shares, and results as the page uses them.

export const UNSURE = "unsure";
export const PERCENT = "\u00a0%"; // never on a line of its own

// Okabe and Ito's colours, as in the images that the command saves; always beside a word.
const COLOURS = {
  angry: "#d55e00",
  disgust: "#009e73",
  fear: "#cc79a7",
  happy: "#f0e442",
  sad: "#0072b2",
  surprise: "#e69f00",
  neutral: "#bebebe",
  contempt: "#56b4e9",
};

let colours = new Map();

// Give every label of a model its colour: words other than the eight expressions get, in order, the colours that are left.
export function setColours(labels) {
  const left = Object.keys(COLOURS).filter((word) => !labels.includes(word));
  const others = labels.filter((word) => !Object.hasOwn(COLOURS, word));
  const spare = left.length ? left : Object.keys(COLOURS);
  colours = new Map(Object.entries(COLOURS));
  for (const [index, word] of others.entries()) colours.set(word, COLOURS[spare[index % spare.length]]);
}

export function colourOf(word) {
  return colours.get(word) ?? "#ffffff";
}

// Black or white, whichever is easier to read on a colour "#rrggbb" (ITU-R BT.601 luma).
export function inkOn(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return 0.299 * red + 0.587 * green + 0.114 * blue > 110 ? "#000000" : "#ffffff";
}

// The expression that a face counts as, or "unsure".
export function wordOf(face) {
  return face.isUnsure ? UNSURE : face.label;
}

export function describeFace(face) {
  const probability = `${face.percentages[face.label]}${PERCENT}`;
  return face.isUnsure ? `unsure (${face.label}?) ${probability}` : `${face.label} ${probability}`;
}

// Share of the visible faces per expression, "unsure" included: sums to 1, or {} without faces.
export function sharesOf(faces) {
  const shares = {};
  const visible = faces.filter((face) => face.isSeen);
  for (const face of visible) {
    shares[wordOf(face)] = (shares[wordOf(face)] ?? 0) + 1 / visible.length;
  }
  return shares;
}

// A face's probabilities, and "unsure" while it is unsure.
export function lanesOf(face) {
  return face.isUnsure ? { ...face.probabilities, [UNSURE]: 1 } : face.probabilities;
}

export function percent(share) {
  return `${Math.round(100 * share)}${PERCENT}`;
}

// Whole percentages that add up to 100: the largest remainders are rounded up first.
export function wholePercentages(shares) {
  const entries = Object.entries(shares).map(([word, share]) => ({ word, exact: 100 * share, whole: Math.floor(100 * share + 1e-9) }));
  const total = Math.round(entries.reduce((sum, entry) => sum + entry.exact, 0));
  let rest = total - entries.reduce((sum, entry) => sum + entry.whole, 0);
  for (const entry of [...entries].sort((a, b) => b.exact - b.whole - (a.exact - a.whole))) {
    if (rest <= 0) break;
    entry.whole += 1;
    rest -= 1;
  }
  return Object.fromEntries(entries.map((entry) => [entry.word, entry.whole]));
}

// The server's result for one image or frame, as the page uses it.
export function readResult(response, source, seconds) {
  const faces = response.faces.map((face) => ({
    id: face.track ?? face.face, // what the page calls it
    number: face.face,
    track: face.track,
    box: [face.x, face.y, face.width, face.height],
    roll: face.roll,
    score: face.score,
    label: face.label,
    probabilities: face.probabilities,
    percentages: wholePercentages(face.probabilities),
    confidence: face.confidence,
    isUnsure: face.unsure,
    seen: face.seen,
    isSeen: face.seen ?? true, // false: hidden at the moment, position predicted
  }));
  return { source, seconds, width: response.image_width, height: response.image_height, faces };
}
