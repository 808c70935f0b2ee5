// Serve one tool over standard input and output, one JSON object a line: worker.py in Node.js, with the same requests.
//
//     node worker.mjs ADAPTER '{"option": ...}'
//
// ADAPTER is a module of this folder that exports `labels`, `version`, `load(threads)`, `crop(pixels, way)`, `image(path)`
// and `frame(pixels, width, height)`. It runs in a folder whose node_modules has the tool.

import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const SIDE = 48;
const started = performance.now();
for (const name of ["log", "info", "warn", "debug"]) console[name] = (...words) => console.error(...words);
const own = createRequire(pathToFileURL(`${process.cwd()}/package.json`));
const { Tool } = await import(new URL(`./${process.argv[2]}.mjs`, import.meta.url));
const tool = new Tool(own, JSON.parse(process.argv[3]));

const faces = (request) => {
  const bytes = new Uint8Array(readFileSync(request.file));
  const count = Math.min(request.count ?? Infinity, bytes.length / SIDE ** 2);
  return Array.from({ length: count }, (_, row) => bytes.subarray(row * SIDE ** 2, (row + 1) * SIDE ** 2));
};

const actions = {
  async load(request) {
    await tool.load(request.threads);
    return { labels: tool.labels };
  },
  async crops(request) {
    const scores = [];
    for (const face of faces(request)) scores.push(await tool.crop(face, request.way));
    return { scores };
  },
  async time(request) {
    for (const face of faces(request)) await tool.crop(face, request.way);
    return {};
  },
  async images(request) {
    const found = [];
    for (const path of request.paths) found.push(await tool.image(path));
    if (request.table) {
      const rows = [["image", "x", "y", "width", "height", ...tool.labels]];
      request.paths.forEach((path, i) => found[i].forEach((face) => rows.push([path, ...face.box, ...face.scores])));
      writeFileSync(request.table, rows.map((row) => `${row.join(",")}\n`).join(""));
    }
    return { faces: found };
  },
  // Neither tool reads videos in Node.js, so the frames come decoded: RGB bytes, one frame after the other.
  async video(request) {
    const { width, height, raw } = request;
    const bytes = readFileSync(raw);
    const counts = [];
    for (let start = 0; start < bytes.length; start += width * height * 3) {
      counts.push((await tool.frame(bytes.subarray(start, start + width * height * 3), width, height)).length);
    }
    return { counts };
  },
  async memory() {
    const [, peak] = readFileSync("/proc/self/status", "ascii").match(/VmHWM:\s+(\d+)/);
    return { mib: Number(peak) / 1024 };
  },
};

const answer = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
answer({ import_seconds: (performance.now() - started) / 1000, version: tool.version });
for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  const start = performance.now();
  const before = process.cpuUsage();
  let value;
  try {
    value = await actions[request.do](request);
  } catch (error) {
    value = { error: `${error?.name ?? "Error"}: ${error?.message ?? error}`.slice(0, 300) };
  }
  const used = process.cpuUsage(before);
  answer({ ...value, seconds: (performance.now() - start) / 1000, cpu_seconds: (used.user + used.system) / 1e6 });
}
process.exit(0);
