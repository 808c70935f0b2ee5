// What cannot be done, in one sentence for people. `status` is the server's (RFC 9457); 0: no answer came, and no other
// image will do better; -1: this image or video cannot be used.

export class Problem extends Error {
  constructor(status, detail, retryAfter = null) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}
