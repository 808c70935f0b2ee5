// The selected face's probabilities, the shares of expressions, and the buttons that select a face.

import { PERCENT, UNSURE, colourOf, describeFace, percent, sharesOf, wholePercentages, wordOf } from "./expressions.js";

// A list of rows "word, bar, percentage"; its elements are created once per label set.
export class Rows {
  constructor(list) {
    this.list = list;
    this.words = [];
    this.rows = new Map();
  }

  setWords(words) {
    if (words.join() === this.words.join()) return;
    this.words = words;
    this.rows.clear();
    this.list.replaceChildren(...words.map((word) => this.#makeRow(word)));
  }

  // Show shares in [0, 1] with the given percentages; `top` is the word to emphasize, `mark` a share to mark in each bar.
  show(shares, percentages, top, mark = null) {
    for (const [word, row] of this.rows) {
      const share = shares[word] ?? 0;
      row.bar.style.width = `${100 * share}%`;
      row.bar.classList.toggle("none", share < 0.004);
      row.number.textContent = `${percentages[word] ?? 0}${PERCENT}`;
      row.item.classList.toggle("top-row", word === top);
      row.mark.hidden = mark === null;
      if (mark !== null) row.mark.style.left = `${100 * mark}%`;
    }
  }

  #makeRow(word) {
    const [item, name, meter, bar, mark, number] = ["li", "span", "span", "i", "u", "b"].map((tag) => document.createElement(tag));
    setColour(item, word);
    name.textContent = word;
    meter.className = "meter";
    bar.className = "none";
    mark.hidden = true;
    meter.append(bar, mark);
    item.append(name, meter, number);
    this.rows.set(word, { item, bar, mark, number });
    return item;
  }
}

export class SelectedPanel {
  constructor(panel, list, text, note) {
    this.panel = panel;
    this.rows = new Rows(list);
    this.text = text;
    this.note = note;
    this.threshold = null;
  }

  setModel(labels, threshold) {
    this.rows.setWords(labels);
    this.threshold = threshold;
    this.note.textContent = `Dashed line: below ${percent(threshold)} an expression counts as unsure.`;
  }

  // Show a face. Without one, the panel says which one it waits for, or is hidden if there was none.
  show(face, selected) {
    const probabilities = face?.probabilities ?? {};
    const top = face && !face.isUnsure ? face.label : null;
    this.rows.show(probabilities, face?.percentages ?? {}, top, face ? this.threshold : null);
    this.panel.hidden = selected === null;
    this.text.textContent = face ? `Face ${face.id}: ${describeFace(face)}.` : `Face ${selected} is not in view.`;
  }
}

export class SharesPanel {
  constructor(panel, list, text) {
    this.panel = panel;
    this.rows = new Rows(list);
    this.text = text;
  }

  setLabels(labels) {
    this.rows.setWords([...labels, UNSURE]);
  }

  // `where` is what the faces were counted in, such as "3 images"; empty for one image or frame; null: there is none.
  show(faces, where) {
    this.panel.hidden = where === null;
    const shares = sharesOf(faces);
    const [top, second] = Object.keys(shares).sort((a, b) => shares[b] - shares[a]);
    this.rows.show(shares, wholePercentages(shares), shares[top] > (shares[second] ?? 0) ? top : null);
    const count = faces.filter((face) => face.isSeen).length;
    this.text.textContent = `${countFaces(count)}${where ? ` in ${where}` : ""}.`;
  }
}

export class FaceButtons {
  // `select` is called with the number of a face that is chosen, `point` with one that is pointed at or has the focus.
  constructor(group, select, point) {
    this.group = group;
    this.select = select;
    this.point = point;
    this.buttons = new Map();
  }

  show(faces, selected) {
    const shown = new Set(faces.map((face) => face.id));
    for (const [id, { button }] of this.buttons) {
      if (shown.has(id)) continue;
      if (button === document.activeElement) this.#moveFocus(button);
      button.remove();
      this.buttons.delete(id);
    }
    for (const face of faces) {
      const parts = this.buttons.get(face.id) ?? this.#make(face.id);
      setColour(parts.button, wordOf(face));
      parts.button.setAttribute("aria-pressed", String(face.id === selected));
      const text = `${face.id}  ${describeFace(face)}`;
      if (parts.text.textContent !== text) parts.text.textContent = text;
    }
    this.group.hidden = faces.length === 0;
  }

  // The button disappears with its face: the keyboard continues at a neighbour.
  #moveFocus(button) {
    (button.nextElementSibling ?? button.previousElementSibling)?.focus();
  }

  #make(id) {
    const button = document.createElement("button");
    button.type = "button";
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    const text = document.createElement("span");
    button.append(swatch, text);
    button.addEventListener("click", () => this.select(id));
    for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => this.point(id));
    for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => this.point(null));
    this.group.append(button);
    const parts = { button, text };
    this.buttons.set(id, parts);
    return parts;
  }
}

function setColour(element, word) {
  element.classList.toggle("unsure", word === UNSURE);
  element.style.setProperty("--colour", colourOf(word));
}

export function countFaces(count) {
  if (count === 0) return "No faces detected";
  return count === 1 ? "1 face" : `${count} faces`;
}
