// The model card: what the model is and how accurate it is.

import { percent } from "./expressions.js";

// `card` is the model's own, `model` the server's summary.
export function drawCard(place, card, model) {
  const scores = card.scores ?? {};
  const parts = [
    paragraph(`${card.name}: a network "${card.network}" for faces of ${card.input.size} x ${card.input.size} pixels, ${channels(card)}.`),
  ];
  if (card.paper) parts.push(paragraph(`Paper: ${card.paper}.`));
  if (scores.accuracy !== undefined) parts.push(...drawScores(scores));
  else parts.push(paragraph("This model file has no scores."));
  parts.push(paragraph(`An expression with a probability below ${percent(model.unsure_threshold)} counts as unsure.`));
  if (model.licence) parts.push(paragraph(`Licence: ${model.licence}.`));
  parts.push(
    paragraph(
      "The scores say how often the model agrees with the annotators of that data set. They do not say what the people felt, and " +
        "they may not hold for other cameras, light, ages or cultures.",
    ),
  );
  place.replaceChildren(...parts);
}

function drawScores(scores) {
  const rule = scores.selection?.rule ?? scores.selection;
  const selected = rule ? ` Weights selected by: ${rule}.` : "";
  const measured = `Measured on ${scores.n} faces of ${scores.dataset}, ${scores.split} split.${selected}`;
  const rest = scores.without_duplicates;
  const rows = [["accuracy", share(scores.accuracy)], ["mean class accuracy", share(scores.mean_class_accuracy)]];
  if (rest?.n) rows.push(["accuracy without duplicates of training images", share(rest.accuracy)]);
  const parts = [heading("Scores"), paragraph(measured), table(rows)];
  if (scores.recall) {
    const recall = Object.entries(scores.recall).map(([word, value]) => [word, share(value)]);
    parts.push(heading("Recall per expression"), table(recall));
  }
  return parts;
}

function share(value) {
  return value === null || value === undefined ? "-" : `${(100 * value).toFixed(1)} %`;
}

function channels(card) {
  return card.input.channels === 1 ? "grey" : "colour";
}

function heading(text) {
  return element("h3", text);
}

function paragraph(text) {
  return element("p", text);
}

function table(rows) {
  const body = document.createElement("table");
  body.className = "scores";
  for (const [name, value] of rows) {
    const row = body.insertRow();
    const head = element("th", name);
    head.scope = "row";
    row.append(head, element("td", value));
  }
  return body;
}

function element(tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}
