// Build mien-web (build/) and its page (dist/).
//
//   node build.mjs [--detector FILE] [MODEL.onnx ...]
//   make browser MODELS="run/model.onnx"
//
// Without files, the page has the package's detector and its 8-bit default model.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
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

/** The page: index.html, and all else in a folder whose name changes with its content, so that versions never mix. */
async function buildPage({ detector, models }) {
  rmSync(DIST, { recursive: true, force: true });
  const app = join(DIST, "app");
  for (const folder of ["ort", "models"]) mkdirSync(join(app, folder), { recursive: true });
  for (const file of readdirSync(STATIC)) if (!SERVER_ONLY.has(file)) cpSync(join(STATIC, file), join(app, file));
  for (const file of [...ORT_FILES, ...ORT_GPU_FILES]) cpSync(join(ORT, file), join(app, "ort", file));
  cpSync(join(BUILD, "mien-web.worker.js"), join(app, "mien-web.worker.js"));
  cpSync(detector, join(app, "models/mien.onnx"));
  const define = { MODELS: JSON.stringify(copyModels(models, app)) };
  await build({ ...SETTINGS, entryPoints: ["page/engine.ts"], outfile: join(app, "engine.js"), external: ["./problem.js"], define });
  const hash = createHash("sha256");
  for (const file of listFiles(app)) hash.update(file).update(readFileSync(join(app, file)));
  const folder = `app-${hash.digest("hex").slice(0, 12)}`;
  renameSync(app, join(DIST, folder));
  writeFileSync(join(DIST, "index.html"), makeHtml(folder));
  writeFileSync(join(DIST, "manifest.webmanifest"), JSON.stringify(makeManifest(folder), null, 1));
  writeServiceWorker(folder);
}

/** Copy model files; returns each one's address and licence by its name. */
function copyModels(models, app) {
  const names = {};
  for (const model of models) {
    const name = basename(model).replace(/\.onnx$/, "");
    if (name in names || name === "mien") fail(`Two models are named '${name}'; rename one of the files.`);
    names[name] = { url: `models/${name}.onnx`, licence: relative(ASSETS, model).startsWith("..") ? null : "Apache-2.0" };
    cpSync(model, join(app, names[name].url));
  }
  return names;
}

/** The server's page with the other engine. */
function makeHtml(folder) {
  const links = '  <link rel="manifest" href="manifest.webmanifest">\n  <meta name="theme-color" content="#14181d">\n';
  const html = readFileSync(join(STATIC, "index.html"), "utf-8").replaceAll('"static/', `"${folder}/`);
  const changed = html.replace('data-engine="server"', 'data-engine="device"').replace("</head>", `${links}</head>`);
  if (!changed.includes('data-engine="device"') || !changed.includes(`"${folder}/app.js"`)) {
    fail("index.html has changed; adapt browser/build.mjs.");
  }
  return changed;
}

function makeManifest(folder) {
  return {
    name: "mien: apparent expressions, on this device",
    short_name: "mien",
    description: "Shows which expression a face appears to have. Images never leave the device.",
    start_url: "./",
    scope: "./",
    display: "standalone",
    background_color: "#14181d",
    theme_color: "#14181d",
    icons: [{ src: `${folder}/favicon.svg`, sizes: "any", type: "image/svg+xml", purpose: "any" }],
  };
}

function writeServiceWorker(folder) {
  const files = listFiles(DIST).filter((file) => !ORT_GPU_FILES.includes(basename(file)));
  const addresses = files.map((file) => (file === "index.html" ? "./" : file.replaceAll("\\", "/")));
  const values = `const FOLDER = "${folder}";\nconst FILES = ${JSON.stringify(addresses)};\n\n`;
  writeFileSync(join(DIST, "service-worker.js"), values + readFileSync(join(here, "page/service-worker.js"), "utf-8"));
}

function listFiles(folder) {
  return readdirSync(folder, { recursive: true })
    .map(String)
    .filter((file) => statSync(join(folder, file)).isFile())
    .sort();
}

function describe() {
  const sizeOf = (files) => `${(files.reduce((sum, file) => sum + statSync(join(DIST, file)).size, 0) / 1e6).toFixed(2)} MB`;
  const files = listFiles(DIST);
  const isOrt = (file) => basename(dirname(file)) === "ort";
  const ort = files.filter((file) => isOrt(file) && !ORT_GPU_FILES.includes(basename(file)));
  const page = files.filter((file) => !isOrt(file));
  console.log(`browser/dist: page and models ${sizeOf(page)}; onnxruntime-web ${sizeOf(ort)}, with WebGPU ${sizeOf(files.filter(isOrt))}`);
}

const options = readOptions(process.argv.slice(2)); // their paths are relative to where the command was called
process.chdir(here);
await buildPackage();
await buildPage(options);
describe();
