// The camera: turn it on and off, say what is wrong, hand out its frames as JPEG.

const LONGEST_SIDE = 640; // detectors look at no more
const QUALITY = 0.85;
const WISH = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };

const PROBLEMS = {
  NotAllowedError: "The camera may not be used here. Allow it in the browser's address bar or settings, then turn it on again.",
  NotFoundError: "No camera was found. Connect one and turn it on again, or drop pictures here.",
  NotReadableError: "The camera cannot be opened: another program may be using it. Close that program and try again.",
  OverconstrainedError: "This camera is gone. Choose another one in the settings.",
};

// Events: "frame" (detail: { time }: milliseconds of performance.now() at which it was captured), "ended" (unplugged).
export class Camera extends EventTarget {
  #stream = null;
  #requests = 0;
  #pen = null;

  constructor(video) {
    super();
    this.video = video;
  }

  get isOn() {
    return this.#stream !== null;
  }

  // Turn the camera on; false if it was turned off before that was done. An Error's message says what the user can do.
  async start(deviceId) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("Browsers open cameras only on pages of this computer (localhost) and over https. Use one of these addresses.");
    }
    this.stop();
    const request = this.#requests;
    const wanted = deviceId ? { ...WISH, deviceId: { exact: deviceId } } : { ...WISH, facingMode: "user" };
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    } catch (error) {
      throw new Error(PROBLEMS[error.name] ?? `The camera cannot be opened (${error.name}).`);
    }
    if (request !== this.#requests) {
      for (const track of stream.getTracks()) track.stop();
      return false;
    }
    this.#stream = stream;
    stream.getVideoTracks()[0].addEventListener("ended", () => {
      if (this.#stream !== stream) return;
      this.stop();
      this.dispatchEvent(new Event("ended"));
    });
    this.video.srcObject = stream;
    await this.video.play().catch(() => {}); // turned off meanwhile
    if (this.#stream !== stream) return false;
    this.#listen(stream);
    return true;
  }

  stop() {
    this.#requests += 1;
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#stream = null;
    this.video.srcObject = null;
  }

  // The cameras that can be chosen; browsers name them once one may be used.
  async devices() {
    const all = await navigator.mediaDevices.enumerateDevices();
    return all.filter((device) => device.kind === "videoinput" && device.deviceId);
  }

  // The picture in view, reduced to the server's working size, as the bytes of a JPEG.
  async grab() {
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(1, LONGEST_SIDE / Math.max(videoWidth, videoHeight));
    const [width, height] = [Math.round(videoWidth * scale), Math.round(videoHeight * scale)];
    if (this.#pen?.canvas.width !== width || this.#pen.canvas.height !== height) {
      this.#pen = new OffscreenCanvas(width, height).getContext("2d", { alpha: false, willReadFrequently: true });
    }
    this.#pen.drawImage(this.video, 0, 0, width, height);
    const blob = await this.#pen.canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY });
    return blob.arrayBuffer();
  }

  #listen(stream) {
    const next = (now, frame) => {
      if (this.#stream !== stream) return;
      this.dispatchEvent(new CustomEvent("frame", { detail: { time: frame?.captureTime ?? now } }));
      listen();
    };
    // where the browser does not report frames, look at every repaint
    const listen = () => (this.video.requestVideoFrameCallback ? this.video.requestVideoFrameCallback(next) : requestAnimationFrame(next));
    listen();
  }
}
