"use strict";
// Shows the probabilities at the pointer, and moves with the video; a click or the arrow keys move the video.
const data = JSON.parse(document.getElementById("data").textContent);
const chart = document.querySelector("#chart svg");
const video = document.querySelector("video");
const place = document.getElementById("time");
const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
for (const [name, value] of Object.entries({ y1: data.top, y2: data.bottom, stroke: "#111", "stroke-width": 1.5 })) {
  cursor.setAttribute(name, value);
}
chart.append(cursor);

let time = 0;

function show(seconds) {
  time = Math.min(Math.max(seconds, 0), data.seconds);
  const x = data.left + (time / data.seconds) * data.width;
  cursor.setAttribute("x1", x);
  cursor.setAttribute("x2", x);
  place.textContent = `${time.toFixed(2)} s`;
  const slot = Math.floor(time / data.slot + 1e-6);
  data.people.forEach((person, row) => {
    const shares = person.slots[slot];
    const largest = shares ? Math.max(...shares) : 0;
    data.labels.forEach((_, column) => {
      const cell = document.getElementById(`p${row}-${column}`);
      cell.textContent = shares ? `${shares[column]} %` : "-";
      cell.className = shares && shares[column] === largest ? "largest" : "";
    });
  });
}

function move(seconds) {
  if (video) video.currentTime = Math.min(Math.max(seconds, 0), data.seconds);
  show(seconds);
}

function secondsAt(event) {
  const box = chart.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * chart.viewBox.baseVal.width;
  return ((x - data.left) / data.width) * data.seconds;
}

chart.addEventListener("pointermove", (event) => {
  if (event.buttons === 1) move(secondsAt(event));
  else if (!video || video.paused) show(secondsAt(event));
});
chart.addEventListener("pointerdown", (event) => move(secondsAt(event)));
chart.addEventListener("pointerleave", () => {
  if (video) show(video.currentTime);
});
document.getElementById("chart").addEventListener("keydown", (event) => {
  const step = { ArrowLeft: -data.slot, ArrowRight: data.slot, PageUp: -1, PageDown: 1 }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  move(time + step);
});
if (video) {
  const follow = () => {
    if (!video.paused) show(video.currentTime);
    requestAnimationFrame(follow);
  };
  video.addEventListener("seeked", () => show(video.currentTime));
  follow();
}
show(0);
