// Build the tests and run them in Node.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { build } from "esbuild";

const names = readdirSync("tests").filter((name) => name.endsWith(".test.ts"));
await build({
  entryPoints: names.map((name) => `tests/${name}`),
  outdir: "build/tests",
  outExtension: { ".js": ".mjs" },
  bundle: true,
  platform: "node",
  format: "esm",
  packages: "external",
  logLevel: "warning",
});
const files = names.map((name) => `build/tests/${name.replace(/ts$/, "mjs")}`);
const { status } = spawnSync(process.execPath, ["--test", ...files], { stdio: "inherit" });
process.exit(status ?? 1);
