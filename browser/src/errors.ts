// Errors for people: one line that says what was received, what was expected and what to do.

/** What an error is about: an image, a model file, the browser, or a call that does not fit. */
export type ErrorKind = "image" | "model" | "browser" | "usage";

export class MienError extends Error {
  override readonly name = "MienError";

  constructor(
    readonly kind: ErrorKind,
    message: string,
  ) {
    super(message);
  }
}

/** The first line of any error's message, without a full stop at its end. */
export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split("\n", 1)[0].slice(0, 200).replace(/\.$/, "");
}
