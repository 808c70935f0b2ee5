// A JSON Schema as text: the kind of a value, and a table of the values in an object.

// Make an element with a text or child nodes.
export function make(tag, ...content) {
  const made = document.createElement(tag);
  made.append(...content);
  return made;
}

// A text with its `code` and *emphasis*.
export function inline(text) {
  const parts = text.split(/(`[^`]+`|\*[^*\s][^*]*\*)/);
  return parts.filter(Boolean).map((part) => {
    if (part.startsWith("`")) return make("code", part.slice(1, -1));
    return /^\*[^*]+\*$/.test(part) ? make("em", part.slice(1, -1)) : part;
  });
}

// A table with a head; rows are lists of cells, each a list of nodes. The first cell names the row.
export function table(head, rows) {
  const body = make("tbody", ...rows.map(([first, ...cells]) => make("tr", headCell("row", first), ...cells.map((cell) => make("td", ...cell)))));
  const made = make("table", make("thead", make("tr", ...head.map((text) => headCell("col", [text])))), body);
  const place = make("div", made);
  place.className = "wide";
  return place;
}

// What kind of value a schema describes, as nodes: "text", "list of FaceResponse" with a link, "number, above 0".
export function kindOf(schema) {
  if (schema.$ref) {
    const name = schema.$ref.split("/").at(-1);
    const link = make("a", name);
    link.href = `#schema-${name}`;
    return [link];
  }
  const choices = (schema.anyOf ?? []).filter((one) => one.type !== "null");
  if (choices.length) return choices.flatMap((one, index) => [...(index ? [" or "] : []), ...kindOf(one)]);
  if (schema.enum) return schema.enum.flatMap((one, index) => [...(index ? [", "] : []), make("code", String(one))]);
  if (schema.type === "array") return ["list of ", ...kindOf(schema.items ?? {})];
  if (schema.format === "binary") return ["file"];
  if (schema.type === "object" && schema.additionalProperties?.type) return ["names with ", ...kindOf(schema.additionalProperties)];
  return [(NAMES[schema.type] ?? "any value") + range(schema)];
}

// The values of an object: name, kind, description.
export function fieldsOf(schema) {
  const rows = Object.entries(schema.properties ?? {}).map(([name, field]) => [[make("code", name)], kindOf(field), describe(field)]);
  return table(["Name", "Kind", "Meaning"], rows);
}

// A description, and the default if there is one.
export function describe({ description = "", default: usual }) {
  const isUsual = usual !== undefined && usual !== null;
  return [...inline(description), ...(isUsual ? [description ? " Default: " : "Default: ", make("code", String(usual))] : [])];
}

const NAMES = { string: "text", integer: "whole number", number: "number", boolean: "true or false", object: "object" };

function range({ minimum, maximum, exclusiveMinimum }) {
  if (exclusiveMinimum !== undefined) return `, above ${exclusiveMinimum}`;
  if (minimum !== undefined && maximum !== undefined) return `, ${minimum} to ${maximum}`;
  return minimum === undefined ? "" : `, ${minimum} or more`;
}

function headCell(scope, content) {
  const cell = make("th", ...content);
  cell.scope = scope;
  return cell;
}
