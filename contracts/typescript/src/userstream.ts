import { CallplaneError } from "./errors.ts";
import type { Envelope } from "./events.ts";
import { openPatiently } from "./sse.ts";
import { delay, type Transport } from "./transport.ts";

/** What a follower hears of the stream. */
export type Tiding =
  | { readonly kind: "event"; readonly event: Envelope }
  /** The stream stands. It has not gone on where it was: what happened meanwhile is in the logs. */
  | { readonly kind: "anew" }
  /** The stream stands again and goes on where it was, or a little before. */
  | { readonly kind: "resumed" }
  /** The stream can't be opened, and trying again is of no use. */
  | { readonly kind: "failed"; readonly error: unknown };

/** One that is told what comes, and must not throw. */
export type Listener = (tiding: Tiding) => void;

/** UserStream is the caller's one stream of all their sessions. It is open while anybody listens. */
export class UserStream {
  readonly #transport: Transport;
  readonly #listeners = new Set<Listener>();
  #life: AbortController | undefined;
  #standing = false;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** listen has the listener told what comes from now on, first that the stream stands. The signal, or the function that it returns, ends that. */
  listen(listener: Listener, signal: AbortSignal | undefined): () => void {
    this.#listeners.add(listener);
    if (this.#life === undefined) {
      this.#life = new AbortController();
      void this.#run(this.#life.signal);
    } else if (this.#standing) {
      queueMicrotask(() => this.#listeners.has(listener) && listener({ kind: "anew" }));
    }
    const leave = (): void => {
      signal?.removeEventListener("abort", leave);
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stop();
    };
    // Who is told to stop may not be reading at that moment, and would not come to leave by themselves.
    signal?.addEventListener("abort", leave, { once: true });
    if (signal?.aborted) leave();
    return leave;
  }

  #stop(): void {
    this.#standing = false;
    this.#life?.abort();
    this.#life = undefined;
  }

  #tell(tiding: Tiding): void {
    for (const listener of [...this.#listeners]) listener(tiding);
  }

  /** #run keeps the stream open until the signal. */
  async #run(signal: AbortSignal): Promise<void> {
    let cursor: string | undefined;
    try {
      for (;;) {
        const stream = await openPatiently(this.#transport, ["events"], cursor, signal, (error) => error.code === "invalid_cursor");
        if (stream.resumed) {
          this.#standing = true;
          this.#tell({ kind: "resumed" });
        }
        try {
          for await (const message of stream.messages) {
            cursor = message.id ?? cursor;
            if (message.event === "ready") {
              this.#standing = true;
              this.#tell({ kind: "anew" });
              continue;
            }
            this.#tell({ kind: "event", event: JSON.parse(message.data) as Envelope });
          }
        } catch (error) {
          if (!(error instanceof CallplaneError && error.retryable)) throw error;
        }
        // Many pages lose their streams in one moment, as when a replica stops; they shall not all come back in one.
        await delay(stream.retry() * (0.5 + Math.random() / 2), signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      this.#stop();
      this.#tell({ kind: "failed", error });
    }
  }
}
