import assert from "node:assert/strict";
import { test } from "node:test";
import { NewestFrame } from "../src/inputs.js";

/** A video whose frames the test shows. */
class Video extends EventTarget {
  ended = false;
  #waiting: ((now: number, frame: { mediaTime: number }) => void)[] = [];

  requestVideoFrameCallback(callback: (now: number, frame: { mediaTime: number }) => void): void {
    this.#waiting.push(callback);
  }

  show(mediaTime: number): void {
    for (const callback of this.#waiting.splice(0)) callback(0, { mediaTime });
  }

  end(): void {
    this.ended = true;
    this.dispatchEvent(new Event("ended"));
  }
}

const watch = (video: Video) => new NewestFrame(video as unknown as HTMLVideoElement);

test("a frame that was shown while another one was processed is taken at once, and only the newest", async () => {
  const video = new Video();
  const newest = watch(video);
  video.show(0);
  assert.equal(await newest.take(), 0);
  video.show(1);
  video.show(2);
  assert.equal(await newest.take(), 2);
  const next = newest.take();
  video.show(3);
  assert.equal(await next, 3);
});

test("the last frame comes before the end", async () => {
  const video = new Video();
  const newest = watch(video);
  video.show(5);
  video.end();
  assert.equal(await newest.take(), 5);
  assert.equal(await newest.take(), null);
  assert.equal(await watch(video).take(), null);
});

test("the end and closing wake whoever waits", async () => {
  for (const finish of ["end", "close"] as const) {
    const video = new Video();
    const newest = watch(video);
    const next = newest.take();
    if (finish === "end") video.end();
    else newest.close();
    assert.equal(await next, null);
  }
});
