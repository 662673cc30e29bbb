import pRetry from "p-retry";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { CallplaneError, unanswered } from "./errors.ts";
import { patience, type Transport } from "./transport.ts";

/** The service sends something every 15 s; a connection that is silent for this long is dead, though nobody has said so. */
const silence = 40_000;

/** A stream is opened again after this time at the latest, in milliseconds, where the service says nothing else. */
const defaultRetry = 1000;

/** What a stream that has been opened is read by. */
export interface OpenStream {
  /** Whether it goes on behind the id that was given. */
  readonly resumed: boolean;
  /** Yields what comes, and ends with the connection. */
  readonly messages: AsyncGenerator<EventSourceMessage, void, void>;
  /** The pause that the service has asked for, in milliseconds. */
  retry(): number;
}

/**
 * openPatiently opens a stream of Server-Sent Events (HTML, 9.2) behind an id, as often as it takes. Where the id is refused in a way that
 * giveUp knows, it is opened without. Other errors that do not pass by themselves are thrown.
 */
export async function openPatiently(
  transport: Transport, path: readonly string[], lastEventId: string | undefined, signal: AbortSignal, giveUp: (error: CallplaneError) => boolean,
): Promise<OpenStream> {
  let from = lastEventId;
  const refused = (error: Error): boolean => from !== undefined && error instanceof CallplaneError && giveUp(error);
  return pRetry(async () => open(transport, path, from, signal), {
    minTimeout: defaultRetry / 2, maxTimeout: 30_000, factor: 2, randomize: true, retries: Infinity, signal,
    shouldConsumeRetry: ({ error }) => !refused(error), // without a pause
    shouldRetry: ({ error }) => {
      if (!refused(error)) return error instanceof CallplaneError && error.retryable;
      from = undefined;
      return true;
    },
    onFailedAttempt: ({ error }) => patience(error, signal),
  });
}

/** open opens a stream once. The token goes in a header, which EventSource has no place for. Errors are CallplaneError, also of the messages. */
async function open(transport: Transport, path: readonly string[], lastEventId: string | undefined, signal: AbortSignal): Promise<OpenStream> {
  const connection = new AbortController();
  const whole = AbortSignal.any([signal, connection.signal]);
  let watchdog = setTimeout(() => connection.abort(), silence);
  const alive = (): void => {
    clearTimeout(watchdog);
    watchdog = setTimeout(() => connection.abort(), silence);
  };
  const dead = (cause: unknown): unknown => {
    if (!signal.aborted && connection.signal.aborted) return new CallplaneError("stream_ended", "the stream was silent for too long", { retryable: true, cause });
    return cause instanceof CallplaneError ? cause : unanswered(cause, signal);
  };
  const close = (): void => {
    signal.removeEventListener("abort", close);
    clearTimeout(watchdog);
    connection.abort();
  };
  signal.addEventListener("abort", close, { once: true }); // also where nobody reads at that moment
  let response: Response;
  try {
    const headers = { Accept: "text/event-stream", ...(lastEventId === undefined ? {} : { "Last-Event-ID": lastEventId }) };
    response = await transport.once({ method: "GET", path, headers, repeatable: true, signal: whole });
    if (!response.headers.get("content-type")?.startsWith("text/event-stream") || response.body === null) {
      throw new CallplaneError("bad_response", "the answer is not a stream of events", { status: response.status, retryable: true });
    }
  } catch (cause) {
    const error = dead(cause);
    close();
    throw error;
  }
  let retry = defaultRetry;
  return { resumed: lastEventId !== undefined, messages: read(response.body, { alive, dead, close, retries: (ms) => { retry = ms; } }), retry: () => retry };
}

interface Connection {
  alive(): void;
  dead(cause: unknown): unknown;
  close(): void;
  retries(milliseconds: number): void;
}

async function* read(body: ReadableStream<Uint8Array>, connection: Connection): AsyncGenerator<EventSourceMessage, void, void> {
  let parsed: EventSourceMessage[] = [];
  const parser = createParser({ onEvent: (message) => parsed.push(message), onRetry: connection.retries });
  const reader = body.getReader();
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      connection.alive();
      parser.feed(decoder.decode(value, { stream: true }));
      const whole = parsed;
      parsed = [];
      yield* whole;
    }
  } catch (cause) {
    throw connection.dead(cause);
  } finally {
    connection.close();
    await reader.cancel().catch(() => undefined);
  }
}
