// The page: connects its elements, sources, view and settings, and handles the user's input.

import { Announcer } from "./announcer.js";
import { drawCard } from "./card.js";
import { save } from "./download.js";
import { Engine } from "./engine.js";
import { ImageSource } from "./image_source.js";
import { LiveSource } from "./live_source.js";
import { Problem } from "./problem.js";
import { Session } from "./session.js";
import { VideoSource } from "./video_source.js";
import { View } from "./view.js";

const VIDEO_NAMES = /\.(mp4|m4v|mov|webm|mkv|avi|mpe?g|ogv|3gp|ts|mts|wmv)$/i;
const IMAGE_NAMES = /\.(jpe?g?|jfif|mpo|a?png|webp|avif|heic|heif|hif|bmp|dib|gif|tiff?|jp2|j2k|jpf|jpx|p[pgbnf]m)$/i;
const MODEL_NAMES = /\.onnx$/i;
const RETRY_MODELS = 3000; // milliseconds

const page = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));
const fields = page.settings.elements;
const announcer = new Announcer(page.status, page.problem, page.summary);
const parts = { page, announcer, view: new View(page, announcer), session: new Session(), client: new Engine() };
const { view, session, client } = parts;
const live = new LiveSource(parts);
const images = new ImageSource(parts);
const video = new VideoSource(parts);
let models = [];

function settings() {
  return { model: fields.model.value || null, detector: fields.detector.value || null, smoothing: fields.smoothing.value };
}

function stopAll() {
  live.stop();
  images.stop();
  video.stop();
  announcer.warn("");
  announcer.say("");
  showCameraState();
}

function showCameraState() {
  page.camera.textContent = live.isOn ? "Stop camera" : "Start camera";
  page.camera.classList.toggle("primary", !live.isOn);
  page["mirror-row"].hidden = !live.isOn;
}

async function startCamera() {
  stopAll();
  page.camera.disabled = true;
  try {
    await live.start(settings(), fields.device.value);
    if (live.isOn) await showDevices();
  } catch (error) {
    announcer.say("");
    announcer.warn(error.message);
    view.setStage(null);
  }
  page.camera.disabled = false;
  showCameraState();
}

async function showDevices() {
  const devices = await live.camera.devices();
  const current = page.video.srcObject?.getVideoTracks()[0].getSettings().deviceId;
  setOptions(fields.device, devices.map((device, index) => [device.deviceId, device.label || `Camera ${index + 1}`]), current);
  page["device-row"].hidden = devices.length < 2;
}

async function open(given) {
  const isModel = (file) => client.addModel && MODEL_NAMES.test(file.name);
  for (const file of given.filter(isModel)) await addModel(file);
  const files = given.filter((file) => !isModel(file));
  if (files.length === 0) return;
  const videos = files.filter((file) => kindOf(file) === "video");
  const stills = files.filter((file) => kindOf(file) === "image");
  const others = files.filter((file) => kindOf(file) === null);
  const notes = [];
  if (others.length) notes.push(`${others.map((file) => file.name).join(", ")}: not an image or a video.`);
  if (videos.length && videos.length + stills.length > 1) notes.push("One video at a time: the other files were ignored.");
  if (videos.length + stills.length) stopAll();
  else announcer.warn("");
  if (videos.length) await video.start(videos[0], settings());
  else if (stills.length) await images.start(stills, settings());
  if (notes.length) announcer.warn([page.problem.textContent, ...notes].filter(Boolean).join("\n"));
}

function kindOf(file) {
  if (file.type.startsWith("video/") || VIDEO_NAMES.test(file.name)) return "video";
  if (file.type.startsWith("image/") || IMAGE_NAMES.test(file.name)) return "image";
  return null;
}

function download() {
  const name = `mien-${new Date().toISOString().slice(0, 19).replaceAll(":", "-")}.csv`;
  save(new Blob([session.toCsv()], { type: "text/csv;charset=utf-8" }), name);
}

function showSession() {
  const text = session.describe();
  if (page["session-text"].textContent !== text) page["session-text"].textContent = text;
  page["session-panel"].hidden = session.isEmpty;
}

function setOptions(select, options, current) {
  select.replaceChildren(...options.map(([value, text]) => new Option(text, value, false, value === current)));
  select.disabled = options.length < 2;
}

async function loadModels() {
  announcer.say(client.waiting ?? "");
  try {
    const answer = await client.models();
    models = answer.models;
    setOptions(fields.model, models.map(({ name }) => [name, name]), fields.model.value || models[0].name);
    setOptions(fields.detector, answer.detectors.map((name) => [name, name]), fields.detector.value || answer.detectors[0]);
    announcer.warn("");
    showModel();
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401) return askForKey();
    announcer.warn(error.message);
    if (client.canRetry) setTimeout(loadModels, RETRY_MODELS);
  } finally {
    if (client.waiting) announcer.say("");
  }
}

// Use a model file of the user's own, where the page itself runs models.
async function addModel(file) {
  announcer.warn("");
  announcer.say(`Loading ${file.name}…`);
  try {
    const name = await client.addModel(file);
    await loadModels();
    fields.model.value = name;
    fields.model.dispatchEvent(new Event("change", { bubbles: true }));
    announcer.say(`The model ${name} is loaded and selected.`);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    announcer.say("");
    announcer.warn(error.message);
  }
}

function selectedModel() {
  return models.find(({ name }) => name === fields.model.value);
}

function showModel() {
  const { labels, unsure_threshold: threshold } = selectedModel();
  view.setModel(labels, threshold);
  page["open-card"].disabled = false;
}

function askForKey() {
  if (client.key) page["key-note"].textContent = "Wrong key. Ask the person who runs the server.";
  page["key-dialog"].showModal();
}

async function openCard() {
  page.card.showModal();
  try {
    drawCard(page["card-body"], await client.card(fields.model.value), selectedModel());
  } catch (error) {
    page["card-body"].textContent = error.message;
  }
}

function acceptDrops() {
  let depth = 0;
  const isFiles = (event) => event.dataTransfer?.types.includes("Files");
  const mark = (step) => {
    depth = Math.max(0, depth + step);
    page.drop.classList.toggle("over", depth > 0);
  };
  window.addEventListener("dragenter", (event) => isFiles(event) && mark(1));
  window.addEventListener("dragleave", (event) => isFiles(event) && mark(-1));
  window.addEventListener("dragover", (event) => isFiles(event) && event.preventDefault());
  window.addEventListener("drop", (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    mark(-depth);
    open([...event.dataTransfer.files]);
  });
}

function listen() {
  page.camera.addEventListener("click", () => {
    if (!live.isOn) return startCamera();
    stopAll();
    return view.setStage(null);
  });
  live.addEventListener("ended", showCameraState);
  if (client.addModel) page.files.accept += ",.onnx";
  page.choose.addEventListener("click", () => page.files.click());
  page.files.addEventListener("change", () => {
    const files = [...page.files.files];
    page.files.value = ""; // the same file can be selected again
    if (files.length) open(files);
  });
  page.mirror.addEventListener("change", () => view.setMirrored(page.mirror.checked));
  page.settings.addEventListener("submit", (event) => event.preventDefault());
  page.settings.addEventListener("change", (event) => {
    if (event.target === fields.device) return startCamera();
    if (event.target === fields.model) showModel();
    live.change(settings());
    if (event.target.name !== "smoothing") images.again(settings());
    return video.again(settings());
  });
  page.download.addEventListener("click", download);
  page.clear.addEventListener("click", () => {
    session.clear();
    showSession();
    announcer.say("The results are cleared.");
    page.choose.focus();
  });
  page["open-card"].addEventListener("click", openCard);
  page["close-card"].addEventListener("click", () => page.card.close());
  page["key-form"].addEventListener("submit", () => {
    client.key = page.key.value;
    page.key.value = "";
    loadModels();
  });
  page["key-dialog"].addEventListener("cancel", () => announcer.warn("This server requires a key. Reload the page to enter it."));
  window.addEventListener("pagehide", stopAll);
}

listen();
acceptDrops();
loadModels();
setInterval(showSession, 500);
