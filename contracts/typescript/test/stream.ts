// Reads events from a server-sent event stream of the service, and comes back after a cut where it was.
import { setTimeout as delay } from "node:timers/promises";
import { EventSourceParserStream } from "eventsource-parser/stream";
import type { Envelope } from "../src/events.ts";

/** What the service answered instead of a stream, and asking again will not change. */
export class StreamRefused extends Error {
  readonly status: number;
  constructor(status: number, body: string) {
    super(`the service answered ${status}: ${body}`);
    this.name = "StreamRefused";
    this.status = status;
  }
}

export interface StreamOptions {
  /** The stream's URL, such as …/v1/call/sessions/{sessionId}/events. */
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Where to go on; from the stream's own start where it is left out. */
  readonly lastEventId?: string;
  /** Ends the reading, also between two connections. */
  readonly signal: AbortSignal;
}

/** An event, and the id to go on from after it. */
export interface Received {
  readonly id: string;
  readonly event: Envelope;
}

/** How long a client waits before it comes back, in milliseconds, where the service has not said. */
const defaultRetry = 1000;

/** Yields the stream's events in their order until the signal ends it; reconnects after the last of them. Throws StreamRefused. */
export async function* readEvents(options: StreamOptions): AsyncGenerator<Received, void, undefined> {
  let lastEventId = options.lastEventId;
  let retry = defaultRetry;
  while (!options.signal.aborted) {
    try {
      for await (const message of connect(options, lastEventId, (wait) => (retry = wait))) {
        lastEventId = message.id ?? lastEventId;
        const event = JSON.parse(message.data) as unknown;
        if (isEnvelope(event)) yield { id: lastEventId ?? event.eventId, event };
      }
    } catch (error) {
      if (error instanceof StreamRefused) throw error;
      // Whatever else cut the stream: the log has it all, and the next connection goes on after what was read.
    }
    await delay(retry, undefined, { signal: options.signal }).catch(() => undefined);
  }
}

interface Message {
  readonly id?: string | undefined;
  readonly data: string;
}

async function* connect(
  options: StreamOptions,
  lastEventId: string | undefined,
  onRetry: (wait: number) => void,
): AsyncGenerator<Message, void, undefined> {
  const headers = new Headers({ Accept: "text/event-stream", ...options.headers });
  if (lastEventId !== undefined) headers.set("Last-Event-ID", lastEventId);
  const response = await fetch(options.url, { headers, signal: options.signal });
  const isStream = response.headers.get("Content-Type")?.startsWith("text/event-stream") ?? false;
  if (!response.ok || !isStream || response.body === null) {
    const body = await response.text();
    if (response.status >= 500 || response.status === 429) return;
    throw new StreamRefused(response.status, body);
  }
  yield* response.body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream({ onRetry }));
}

/** Tells an envelope from what else a stream may carry, such as the ready message of a user's stream. */
function isEnvelope(value: unknown): value is Envelope {
  return (
    typeof value === "object" && value !== null && "eventId" in value && "type" in value && typeof value.type === "string" && "payload" in value
  );
}
