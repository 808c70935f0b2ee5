// Browsers refuse workers to pages that are opened from a disk. There, run the search's script in a hidden frame.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    #waiting = [];
    #frame = document.createElement("iframe");

    constructor(url) {
      super();
      this.#frame.hidden = true;
      document.body.append(this.#frame);
      const scope = this.#frame.contentWindow;
      scope.postMessage = (data) =>
        setTimeout(() => {
          const event = new MessageEvent("message", { data: structuredClone(data) });
          this.dispatchEvent(event);
          this.onmessage?.(event);
        });
      const script = scope.document.createElement("script");
      script.src = url;
      script.onload = () => {
        for (const data of this.#waiting) this.#send(data);
        this.#waiting = null;
      };
      script.onerror = (event) => this.onerror?.(event);
      scope.document.body.append(script);
    }

    postMessage(data) {
      if (this.#waiting) this.#waiting.push(data);
      else this.#send(data);
    }

    terminate() {
      this.#frame.remove();
    }

    #send(data) {
      const scope = this.#frame.contentWindow;
      const event = new scope.MessageEvent("message", { data: structuredClone(data) });
      setTimeout(() => scope.dispatchEvent(event));
    }
  };
}
