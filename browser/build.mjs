// Build mien-web (build/) and its page (dist/).
//
//   node build.mjs [--detector FILE] [MODEL.onnx ...]
//   make browser MODELS="run/model.onnx"
//
// Without files, the page has the package's detector and its 8-bit default model.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const STATIC = join(here, "../src/mien/apps/web/static");
const ASSETS = join(here, "../src/mien/assets");
const ORT = join(here, "node_modules/onnxruntime-web/dist");
const [BUILD, DIST] = [join(here, "build"), join(here, "dist")];
// onnxruntime-web's files: those of WebAssembly are kept for times without a network, those of WebGPU once they are used.
const ORT_FILES = ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"];
const ORT_GPU_FILES = ["ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs", "ort-wasm-simd-threaded.asyncify.wasm"];
// Of the server's page: what talks to the server, and the page of its API.
const SERVER_ONLY = new Set(["client.js", "live.js", "engine.js", "docs.html", "docs.js", "docs.css", "schema_text.js", "index.html"]);
const SETTINGS = {
  absWorkingDir: here,
  bundle: true,
  format: "esm",
  target: "es2022",
  minify: true,
  legalComments: "none",
  logLevel: "warning",
};

function readOptions(words) {
  const options = { detector: join(ASSETS, "detectors/mien.onnx"), models: [] };
  for (let at = 0; at < words.length; at += 1) {
    if (words[at] === "--detector") options.detector = resolve(words[(at += 1)] ?? "");
    else options.models.push(resolve(words[at]));
  }
  if (options.models.length === 0) options.models = [join(ASSETS, "default-int8.onnx")];
  const missing = [options.detector, ...options.models].find((file) => !existsSync(file) || !statSync(file).isFile());
  if (missing !== undefined) fail(`${missing}: no such model file.`);
  return options;
}

function fail(text) {
  console.error(`error: ${text}`);
  process.exit(1);
}

async function buildPackage() {
  rmSync(BUILD, { recursive: true, force: true });
  await build({ ...SETTINGS, entryPoints: { "mien-web": "src/index.ts", "mien-web.worker": "src/worker.ts" }, outdir: BUILD });
  execFileSync(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.types.json"], { stdio: "inherit" });
}

async function buildPage({ detector, models }) {
  rmSync(DIST, { recursive: true, force: true });
  for (const folder of ["static/ort", "models"]) mkdirSync(join(DIST, folder), { recursive: true });
  for (const file of readdirSync(STATIC)) if (!SERVER_ONLY.has(file)) cpSync(join(STATIC, file), join(DIST, "static", file));
  for (const file of [...ORT_FILES, ...ORT_GPU_FILES]) cpSync(join(ORT, file), join(DIST, "static/ort", file));
  cpSync(join(BUILD, "mien-web.worker.js"), join(DIST, "static/mien-web.worker.js"));
  cpSync(detector, join(DIST, "models/mien.onnx"));
  const names = {};
  for (const model of models) {
    const name = basename(model).replace(/\.onnx$/, "");
    if (name in names || name === "mien") fail(`Two models are named '${name}'; rename one of the files.`);
    names[name] = { url: `models/${name}.onnx`, licence: relative(ASSETS, model).startsWith("..") ? null : "Apache-2.0" };
    cpSync(model, join(DIST, names[name].url));
  }
  await build({
    ...SETTINGS,
    entryPoints: ["page/engine.ts"],
    outfile: join(DIST, "static/engine.js"),
    external: ["./problem.js"],
    define: { MODELS: JSON.stringify(names) },
  });
  writeFileSync(join(DIST, "index.html"), makeHtml());
  writeFileSync(join(DIST, "manifest.webmanifest"), JSON.stringify(MANIFEST, null, 1));
  writeServiceWorker();
}

/** The server's page with the other engine. */
function makeHtml() {
  const links = '  <link rel="manifest" href="manifest.webmanifest">\n  <meta name="theme-color" content="#14181d">\n';
  const html = readFileSync(join(STATIC, "index.html"), "utf-8");
  const changed = html.replace('data-engine="server"', 'data-engine="device"').replace("</head>", `${links}</head>`);
  if (!changed.includes('data-engine="device"') || !changed.includes("manifest")) fail("index.html has changed; adapt browser/build.mjs.");
  return changed;
}

const MANIFEST = {
  name: "mien: apparent expressions, on this device",
  short_name: "mien",
  description: "Shows which expression a face appears to have. Images never leave the device.",
  start_url: "./",
  scope: "./",
  display: "standalone",
  background_color: "#14181d",
  theme_color: "#14181d",
  icons: [{ src: "static/favicon.svg", sizes: "any", type: "image/svg+xml", purpose: "any" }],
};

function writeServiceWorker() {
  const files = listFiles(DIST).filter((file) => !ORT_GPU_FILES.includes(basename(file)));
  const hash = createHash("sha256");
  for (const file of files) hash.update(file).update(readFileSync(join(DIST, file)));
  const addresses = files.map((file) => (file === "index.html" ? "./" : file));
  const values = `const VERSION = "${hash.digest("hex").slice(0, 16)}";\nconst FILES = ${JSON.stringify(addresses)};\n\n`;
  writeFileSync(join(DIST, "service-worker.js"), values + readFileSync(join(here, "page/service-worker.js"), "utf-8"));
}

function listFiles(folder) {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((file) => statSync(join(folder, file)).isFile())
    .sort();
}

function describe() {
  const size = (files) => `${(files.reduce((sum, file) => sum + statSync(join(DIST, file)).size, 0) / 1e6).toFixed(2)} MB`;
  const files = listFiles(DIST);
  const [ort, own] = [
    files.filter((file) => file.startsWith(join("static", "ort"))),
    files.filter((file) => !file.startsWith(join("static", "ort"))),
  ];
  console.log(
    `${relative(process.cwd(), DIST) || "."}: page and models ${size(own)}; onnxruntime-web ${size(ort.filter((file) => !ORT_GPU_FILES.includes(basename(file))))}, with WebGPU ${size(ort)}`,
  );
}

const options = readOptions(process.argv.slice(2)); // their paths are relative to where the command was called
process.chdir(here);
await buildPackage();
await buildPage(options);
describe();
