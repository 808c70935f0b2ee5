// What cannot be done, in one sentence for people. `status` is that of HTTP; 0: no answer came.

export class Problem extends Error {
  constructor(status, detail, retryAfter = null) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  // Whether other images would meet the same problem: no answer, a key is required, the browser lacks something.
  get isGeneral() {
    return [0, 401, 501].includes(this.status);
  }
}
