import { CallplaneError } from "./errors.ts";
import type { Envelope } from "./events.ts";
import { openPatiently } from "./sse.ts";
import { delay, type Transport } from "./transport.ts";
import type { Listener, Source } from "./userstream.ts";

/** connection is the user's stream over a connection that is kept open. */
export function connection(transport: Transport): Source {
  return async (tell, signal) => {
    try {
      await keepOpen(transport, tell, signal);
    } catch (error) {
      if (!signal.aborted) tell({ kind: "failed", error });
    }
  };
}

async function keepOpen(transport: Transport, tell: Listener, signal: AbortSignal): Promise<never> {
  let cursor: string | undefined;
  for (;;) {
    const stream = await openPatiently(transport, ["events"], cursor, signal, (error) => error.code === "invalid_cursor");
    if (stream.resumed) tell({ kind: "resumed" });
    try {
      for await (const message of stream.messages) {
        cursor = message.id ?? cursor;
        if (message.event === "ready") tell({ kind: "anew" });
        else tell({ kind: "event", event: JSON.parse(message.data) as Envelope });
      }
    } catch (error) {
      if (!(error instanceof CallplaneError && error.retryable)) throw error;
    }
    // Many pages lose their streams in one moment, as when a replica stops; they shall not all come back in one.
    await delay(stream.retry() * (0.5 + Math.random() / 2), signal);
  }
}
