// The camera: start and stop it, report problems, return its frames as JPEG.

const LONGEST_SIDE = 640; // what detectors use
const QUALITY = 0.85;
const IDEAL = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };

const PROBLEMS = {
  NotAllowedError: "The browser denied access to the camera. Allow it in the address bar or the settings, then start the camera again.",
  NotFoundError: "No camera was found. Connect one and start it again, or drop images here.",
  NotReadableError: "The camera cannot be opened: another program may be using it. Close that program and try again.",
  OverconstrainedError: "This camera is not connected. Select another one in the settings.",
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

  // Start the camera; false if it was stopped meanwhile. An Error's message says what the user can do.
  async start(deviceId) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("Browsers allow cameras only on localhost and over https. Open this page at such an address.");
    }
    this.stop();
    const request = this.#requests;
    const wanted = deviceId ? { ...IDEAL, deviceId: { exact: deviceId } } : { ...IDEAL, facingMode: "user" };
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
    await this.video.play().catch(() => {}); // stopped meanwhile
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

  // The available cameras; browsers name them once one may be used.
  async devices() {
    const all = await navigator.mediaDevices.enumerateDevices();
    return all.filter((device) => device.kind === "videoinput" && device.deviceId);
  }

  // The current frame, reduced to the server's working size, as the bytes of a JPEG.
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
    // where the browser does not report frames, check at every repaint
    const listen = () => (this.video.requestVideoFrameCallback ? this.video.requestVideoFrameCallback(next) : requestAnimationFrame(next));
    listen();
  }
}
