// A service for tests, with the answers and the streams of the real one, and all that may go wrong between.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Session } from "../src/api.ts";
import { reduce, type Call } from "../src/call.ts";
import type { Envelope } from "../src/events.ts";

/** What went by, for tests to look at. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** An answer instead of the usual one. */
export type Answer = (request: Seen, response: ServerResponse) => boolean | Promise<boolean>;

export class FakeService {
  readonly seen: Seen[] = [];
  /** Comes first; it says whether it has answered. */
  answer: Answer = () => false;
  /** What becomes of a stream's next message. */
  fate: () => "send" | "cut" = () => "send";
  /** How far a stream that goes on goes back, in messages. */
  overlap: () => number = () => 0;
  /** How many events a page has. */
  pageSize = 3;

  readonly #logs = new Map<string, Envelope[]>();
  readonly #kept = new Map<string, number>(); // where the log that is kept begins
  readonly #told: Envelope[] = []; // of all sessions, in the order in which streams tell
  readonly #streams = new Set<() => void>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
  }

  async start(): Promise<string> {
    this.#server.listen(0, "127.0.0.1");
    await new Promise((resolve) => this.#server.once("listening", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** log appends an event, which streams then tell of. */
  log(event: Envelope): void {
    const log = this.#logs.get(event.sessionId) ?? [];
    this.#logs.set(event.sessionId, [...log, event]);
    this.#told.push(event);
    for (const wake of this.#streams) wake();
  }

  logOf(sessionId: string): readonly Envelope[] {
    return this.#logs.get(sessionId) ?? [];
  }

  /** forget drops the beginning of a log. */
  forget(sessionId: string, events: number): void {
    this.#kept.set(sessionId, events);
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  session(sessionId: string): Session {
    let call: Call | undefined;
    for (const event of this.logOf(sessionId)) call = reduce(call, event);
    if (call === undefined) throw new Error(`there is no session ${sessionId}`);
    const { timeline: _, ...rest } = call;
    return { ...rest, updatedAt: call.createdAt };
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    const url = new URL(request.url ?? "/", "http://fake");
    const seen = { method: request.method ?? "", path: url.pathname + url.search, headers: request.headers, body };
    this.seen.push(seen);
    if (await this.answer(seen, response)) return;
    const [, , , kind, id, part] = url.pathname.split("/");
    if (kind === "events") {
      this.#stream(request, response);
    } else if (id === undefined) {
      const open = [...this.#logs.keys()].map((one) => this.session(one)).filter((s) => s.endedAt === null);
      json(response, 200, { items: open, nextCursor: null, eventsCursor: null });
    } else if (!this.#logs.has(id)) {
      problem(response, 404, "session_not_found");
    } else if (part === "events") {
      this.#page(response, id, url.searchParams.get("after"));
    } else {
      json(response, 200, this.session(id));
    }
  }

  #page(response: ServerResponse, id: string, after: string | null): void {
    const log = this.logOf(id);
    const kept = this.#kept.get(id) ?? 0;
    const at = after === null ? kept : log.findIndex((event) => event.eventId === after) + 1;
    if (after !== null && (at === 0 || at < kept)) {
      problem(response, 410, "watermark_gone", { earliestEventId: log[kept]?.eventId });
      return;
    }
    const items = log.slice(at, at + this.pageSize);
    json(response, 200, { items, lastEventId: items.at(-1)?.eventId ?? after, hasMore: at + items.length < log.length });
  }

  #stream(request: IncomingMessage, response: ServerResponse): void {
    const from = request.headers["last-event-id"];
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.flushHeaders();
    response.write("retry: 2\n\n");
    let next = this.#told.length;
    if (typeof from === "string") next = Math.max(0, Number(from.slice(1)) - this.overlap());
    else response.write(`id: c${next}\nevent: ready\ndata: {}\n\n`);
    const wake = (): void => {
      for (; next < this.#told.length; next++) {
        if (this.fate() === "cut") {
          this.#streams.delete(wake);
          setImmediate(() => response.destroy()); // What was sent before gets there.
          return;
        }
        const event = this.#told[next] as Envelope;
        response.write(`id: c${next + 1}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
      }
    };
    this.#streams.add(wake);
    response.on("close", () => this.#streams.delete(wake));
    wake();
  }
}

export function json(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "Content-Type": "application/json", "X-Request-Id": "r1", ...headers }).end(JSON.stringify(body));
}

export function problem(response: ServerResponse, status: number, code: string, more: Record<string, unknown> = {}, headers: Record<string, string> = {}): void {
  const retryable = status === 429 || status === 503;
  const document = { type: `https://callplane.dev/problems/${code}`, title: "No", status, code, retryable, requestId: "r1", ...more };
  response.writeHead(status, { "Content-Type": "application/problem+json", "X-Request-Id": "r1", ...headers }).end(JSON.stringify(document));
}
