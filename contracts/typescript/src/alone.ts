import { CallplaneError } from "./errors.ts";
import type { Envelope } from "./events.ts";
import { openPatiently } from "./sse.ts";
import { delay, type Transport } from "./transport.ts";
import { isOut, type Change, type Reader } from "./watch.ts";

/** followAlone is Callplane.watch over a stream of the session's own, which goes on behind an event and repeats none. */
export async function* followAlone(
  api: Reader, transport: Transport, sessionId: string, options: { readonly after?: string; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<Change, void, void> {
  const signal = options.signal ?? new AbortController().signal;
  let after = options.after;
  let begun = false;
  try {
    for (;;) {
      if (after === undefined) {
        const session = await api.get(sessionId, { signal, patient: true });
        after = session.lastEventId;
        yield { kind: "snapshot", session };
      }
      begun = true;
      try {
        const stream = await openPatiently(transport, ["sessions", sessionId, "events"], after, signal, () => false);
        for await (const message of stream.messages) {
          after = message.id ?? after;
          yield { kind: "event", event: JSON.parse(message.data) as Envelope };
        }
        await delay(stream.retry() * (0.5 + Math.random() / 2), signal);
      } catch (error) {
        if (!(error instanceof CallplaneError)) throw error;
        if (error.code === "watermark_gone") after = undefined;
        else if (!error.retryable) throw error;
      }
    }
  } catch (error) {
    if (!signal.aborted && !(begun && isOut(error))) throw error;
  }
}
