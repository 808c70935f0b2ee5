// Image files in Node.js, for tools that take tensors there: sharp decodes, turned upright, without alpha.

export async function decode(own, path) {
  const sharp = own("sharp");
  const { data, info } = await sharp(path).rotate().removeAlpha().toColourspace("srgb").raw().toBuffer({ resolveWithObject: true });
  return { data, width: info.width, height: info.height, channels: info.channels };
}

export function repeatGrey(pixels) {
  const colours = new Uint8Array(pixels.length * 3);
  pixels.forEach((value, i) => colours.fill(value, 3 * i, 3 * i + 3));
  return colours;
}

// The WebAssembly backend, from the files of its own package instead of a server.
export async function startBackend(own, tf, threads) {
  const wasm = own("@tensorflow/tfjs-backend-wasm");
  wasm.setWasmPaths(`${process.cwd()}/node_modules/@tensorflow/tfjs-backend-wasm/dist/`);
  if (threads) wasm.setThreadsCount(threads);
  await tf.setBackend("wasm");
  await tf.ready();
  if (tf.getBackend() !== "wasm") throw new Error(`the backend is ${tf.getBackend()}`);
}
