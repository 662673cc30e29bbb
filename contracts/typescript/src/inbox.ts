import type { Envelope } from "./events.ts";
import type { Tiding } from "./userstream.ts";

const waitingAtMost = 1000; // where a reader is slower for longer, it reads the logs instead

/** Inbox holds what a stream has told until somebody takes it. */
export class Inbox {
  readonly #wanted: (event: Envelope) => boolean;
  #waiting: Tiding[] = [];
  #wake: (() => void) | undefined;

  constructor(wanted: (event: Envelope) => boolean) {
    this.#wanted = wanted;
  }

  /** put is a listener of the stream. */
  readonly put = (tiding: Tiding): void => {
    if (tiding.kind === "event" && !this.#wanted(tiding.event)) return;
    if (tiding.kind === "anew" || this.#waiting.length >= waitingAtMost) this.#waiting = [{ kind: "anew" }]; // The logs have all that waited.
    if (tiding.kind !== "anew") this.#waiting.push(tiding);
    this.#rouse();
  };

  readonly #rouse = (): void => this.#wake?.();

  /** next waits for the next one, or throws the signal's reason. */
  async next(signal: AbortSignal | undefined): Promise<Tiding> {
    for (;;) {
      signal?.throwIfAborted();
      const first = this.#waiting.shift();
      if (first !== undefined) return first;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        signal?.addEventListener("abort", this.#rouse, { once: true });
      });
      signal?.removeEventListener("abort", this.#rouse);
    }
  }
}
