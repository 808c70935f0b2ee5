// The page of the API, written from the server's OpenAPI document.

import { describe, fieldsOf, inline, kindOf, make, table } from "./schema_text.js";

const FORM = "multipart/form-data";
const place = (id) => document.getElementById(id);

async function show() {
  const answer = await fetch("openapi.json");
  if (!answer.ok) throw new Error(`The OpenAPI document is missing: the server answered ${answer.status}.`);
  const { info, paths, components } = await answer.json();
  place("about").append(...inline(info.description), ` Version ${info.version}.`);
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) addOperation(method.toUpperCase(), path, operation);
  }
  addToContents("live", "WS /v1/live");
  for (const [name, schema] of Object.entries(components.schemas)) {
    if (schema.properties) addSchema(name, schema);
  }
}

function addOperation(method, path, operation) {
  const title = make("h2", make("code", method), ` ${path}`);
  const section = make("section", title, ...paragraphs(operation.description ?? operation.summary));
  section.className = "panel";
  section.id = `${method}${path}`.replace(/\W+/g, "-").replace(/-$/, "").toLowerCase();
  title.id = `${section.id}-title`;
  section.setAttribute("aria-labelledby", title.id);
  const content = operation.requestBody?.content ?? {};
  if (operation.parameters?.length) section.append(make("h3", "Parameters"), parameters(operation.parameters));
  if (content[FORM]) section.append(make("h3", "Body"), ...body(content));
  section.append(make("h3", "Example"), make("pre", command(method, path, content)));
  section.append(make("h3", "Answer"), responses(operation.responses), ...examples(operation.responses));
  place("operations").append(section);
  addToContents(section.id, `${method} ${path}`);
}

function paragraphs(text) {
  return text.split(/\n\s*\n/).map((part) => make("p", ...inline(part)));
}

function parameters(all) {
  const rows = all.map((one) => {
    const place = one.in === "path" ? [", in the address"] : [];
    return [[make("code", one.name)], [...kindOf(one.schema), ...place], describe({ ...one.schema, ...one })];
  });
  return table(["Name", "Kind", "Meaning"], rows);
}

function body(content) {
  const field = Object.keys(content[FORM].schema.properties)[0];
  const most = content[FORM].schema.properties[field].maxItems;
  const others = Object.keys(content).filter((type) => type !== FORM);
  const files = most === 1 ? "one file in the field " : `1 to ${most} files in fields named `;
  return [make("p", "A form with ", files, make("code", field), `; or one file as the body itself, as ${others.join(" or ")}.`)];
}

function command(method, path, content) {
  const address = new URL(path.slice(1), document.baseURI);
  const field = Object.keys(content[FORM]?.schema.properties ?? {})[0];
  const file = path.includes("video") ? "clip.mp4" : "photo.jpg";
  const output = path.endsWith("annotated") ? " -o annotated.mp4" : "";
  const shown = decodeURI(address.href);
  return method === "GET" ? `curl ${shown}` : `curl -F ${field}=@${file} ${shown}${output}`;
}

function responses(all) {
  const rows = Object.entries(all).map(([status, { description, content = {} }]) => {
    const kinds = Object.entries(content).map(([type, { schema }]) => [make("code", type), ...(schema?.$ref ? [": ", ...kindOf(schema)] : [])]);
    return [[make("code", status)], kinds.flatMap((kind, index) => [...(index ? [" "] : []), ...kind]), inline(description)];
  });
  return table(["Status", "Content", "Meaning"], rows);
}

// The first example of each successful answer, as it is or from its schema.
function examples(all) {
  const texts = Object.values(all).flatMap(({ content = {} }) => Object.values(content).map(({ example }) => example));
  return texts.filter((text) => typeof text === "string").map((text) => make("pre", text));
}

function addSchema(name, schema) {
  const title = make("h3", name);
  title.id = `schema-${name}`;
  place("schemas").append(title, ...paragraphs(schema.description ?? ""), fieldsOf(schema));
  for (const example of schema.examples ?? []) place("schemas").append(make("pre", JSON.stringify(example, null, 2)));
}

function addToContents(id, text) {
  const link = make("a", text);
  link.href = `#${id}`;
  place("contents").append(make("li", link));
}

show().catch((error) => {
  place("problem").hidden = false;
  place("problem").textContent = error instanceof TypeError ? "The server does not answer. Is it still running?" : error.message;
});
