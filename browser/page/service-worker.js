// Keeps the page's files, so that it works without a network. FOLDER and FILES are filled in by build.mjs.

const CACHE = `mien-${FOLDER}`;
const KEPT = new Set(FILES.map((file) => new URL(file, self.location).pathname));
const PATIENCE = 3000; // milliseconds to wait for a network before the page comes from the device

self.addEventListener("install", (event) => {
  // unchanged files come from the browser's own cache
  const requests = FILES.map((file) => new Request(file, { cache: "no-cache" }));
  event.waitUntil(
    caches
      .open(CACHE)
      .then((cache) => cache.addAll(requests))
      .then(() => self.skipWaiting()),
  );
});

self.addEventListener("activate", (event) => {
  const isOld = (name) => name.startsWith("mien-") && name !== CACHE;
  const removed = caches.keys().then((names) => Promise.all(names.filter(isOld).map((name) => caches.delete(name))));
  event.waitUntil(removed.then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  const { method, mode, url } = event.request;
  const { origin, pathname } = new URL(url);
  if (method !== "GET" || origin !== self.location.origin) return;
  // another server may have this address by now: its page is not this one
  if (mode === "navigate") event.respondWith(navigate(event.request));
  else if (KEPT.has(pathname) || pathname.includes(`/${FOLDER}/`)) event.respondWith(answer(event.request));
});

async function navigate(request) {
  try {
    return await fetch(request, { signal: AbortSignal.timeout(PATIENCE) });
  } catch (error) {
    const kept = await caches.open(CACHE).then((cache) => cache.match("./"));
    if (!kept) throw error;
    return kept;
  }
}

async function answer(request) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(request);
  if (kept) return kept;
  const response = await fetch(request);
  // files that only some devices need: those of WebGPU
  if (response.status === 200) await cache.put(request, response.clone());
  return response;
}
