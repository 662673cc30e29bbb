import type { Envelope } from "./events.ts";

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

/** Source tells what comes until the signal, or until it has failed. The first that it tells is that the stream stands. */
export type Source = (tell: Listener, signal: AbortSignal) => Promise<void>;

/** UserStream is the caller's one stream of all their sessions. It is open while anybody listens. */
export class UserStream {
  readonly #source: Source;
  readonly #listeners = new Set<Listener>();
  #life: AbortController | undefined;
  #standing = false;

  constructor(source: Source) {
    this.#source = source;
  }

  /** listen has the listener told what comes from now on, first that the stream stands. The signal, or the function that it returns, ends that. */
  listen(listener: Listener, signal: AbortSignal | undefined): () => void {
    this.#listeners.add(listener);
    if (this.#life === undefined) {
      const life = new AbortController();
      this.#life = life;
      void this.#source((tiding) => !life.signal.aborted && this.#tell(tiding), life.signal);
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
    if (tiding.kind === "failed") this.#stop();
    else this.#standing = true;
    for (const listener of [...this.#listeners]) listener(tiding);
  }
}
