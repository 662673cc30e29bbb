import type { EventPage, Session, SessionList } from "./api.ts";
import { CallplaneError } from "./errors.ts";
import { isEventOfType, type Envelope } from "./events.ts";
import { Inbox } from "./inbox.ts";
import type { RequestOptions } from "./transport.ts";
import type { UserStream } from "./userstream.ts";

/** What following a session gives: where it stands, and what happens from there on. */
export type Change =
  | { readonly kind: "snapshot"; readonly session: Session }
  | { readonly kind: "event"; readonly event: Envelope };

/** What following needs of the API. */
export interface Reader {
  get(sessionId: string, options: RequestOptions): Promise<Session>;
  eventsPage(sessionId: string, options: RequestOptions & { readonly after: string; readonly limit: number }): Promise<EventPage>;
  listPage(options: RequestOptions & {
    readonly statuses: readonly ("created" | "active" | "reconnecting")[]; readonly pageSize: number; readonly cursor?: string;
  }): Promise<SessionList>;
}

const seenAtMost = 5000; // event ids of a session; a stream goes back by a few seconds at most
const followedAtMost = 1000; // sessions, the oldest go

/**
 * Follower makes of the user's stream, which may repeat events and knows nothing of snapshots, each event of one session once: those behind
 * where it began and no others. The stream is in order, so an event is new if one that was given came before it; for the first one on a
 * connection, of which that is not known, the log is asked.
 */
class Follower {
  readonly #api: Reader;
  readonly #sessionId: string;
  readonly #signal: AbortSignal | undefined;
  readonly #seen = new Set<string>();
  #after: string | undefined;
  #anchored = false;

  constructor(api: Reader, sessionId: string, after: string | undefined, signal: AbortSignal | undefined) {
    this.#api = api;
    this.#sessionId = sessionId;
    this.#signal = signal;
    this.#after = after;
    if (after !== undefined) this.#seen.add(after);
  }

  /** loose says that the stream may go back from here. */
  loose(): void {
    this.#anchored = false;
  }

  async *snapshot(): AsyncGenerator<Change, void, void> {
    yield { kind: "snapshot", session: this.begin(await this.#api.get(this.#sessionId, { signal: this.#signal, patient: true })) };
  }

  /** begin goes on from a snapshot. */
  begin(session: Session): Session {
    this.#anchored = false;
    this.#remember(session.lastEventId);
    return session;
  }

  /** catchUp gives what the log has that was not given. */
  async *catchUp(): AsyncGenerator<Change, void, void> {
    this.loose();
    if (this.#after === undefined) {
      yield* this.snapshot();
      return;
    }
    for (;;) {
      let page: EventPage;
      try {
        page = await this.#api.eventsPage(this.#sessionId, { after: this.#after, limit: 200, signal: this.#signal, patient: true });
      } catch (error) {
        if (!(error instanceof CallplaneError && error.code === "watermark_gone")) throw error;
        yield* this.snapshot();
        return;
      }
      for (const event of page.items) {
        if (this.#seen.has(event.eventId)) continue;
        this.#remember(event.eventId);
        yield { kind: "event", event };
      }
      this.#after = page.lastEventId;
      if (!page.hasMore) return;
    }
  }

  /** take gives what is new, now that the stream has told of an event. */
  async *take(event: Envelope): AsyncGenerator<Change, void, void> {
    if (!this.#anchored && !this.#seen.has(event.eventId)) {
      yield* this.catchUp();
      // What the log does not have behind where this began came before it.
      this.#anchored = this.#seen.has(event.eventId);
      return;
    }
    this.#anchored = true;
    if (this.#seen.has(event.eventId)) return;
    this.#remember(event.eventId);
    yield { kind: "event", event };
  }

  #remember(eventId: string): void {
    this.#after = eventId;
    this.#seen.add(eventId);
    if (this.#seen.size > seenAtMost) {
      const [oldest] = this.#seen;
      this.#seen.delete(oldest as string);
    }
  }
}

/** followOne is Callplane.watch over the user's stream. */
export async function* followOne(
  api: Reader, stream: UserStream, sessionId: string, options: { readonly after?: string; readonly signal?: AbortSignal | undefined },
): AsyncGenerator<Change, void, void> {
  const { signal } = options;
  const inbox = new Inbox((event) => event.sessionId === sessionId);
  const follower = new Follower(api, sessionId, options.after, signal);
  const leave = stream.listen(inbox.put, signal);
  let begun = false;
  try {
    for (;;) {
      const tiding = await inbox.next(signal);
      if (tiding.kind === "failed") throw tiding.error;
      if (tiding.kind === "resumed") follower.loose();
      if (tiding.kind === "anew") yield* follower.catchUp();
      if (tiding.kind === "event") {
        yield* follower.take(tiding.event);
        if (isEventOfType(tiding.event, "call.member.removed")) await api.get(sessionId, { signal, patient: true }); // where it was the caller, this fails
      }
      begun = true;
    }
  } catch (error) {
    if (!signal?.aborted && !(begun && isOut(error))) throw error;
  } finally {
    leave();
  }
}

/** followAll is Callplane.watchAll. */
export async function* followAll(
  api: Reader, stream: UserStream, options: { readonly signal?: AbortSignal | undefined },
): AsyncGenerator<Change, void, void> {
  const { signal } = options;
  const inbox = new Inbox(() => true);
  const all = new All(api, signal);
  const leave = stream.listen(inbox.put, signal);
  try {
    for (;;) {
      const tiding = await inbox.next(signal);
      if (tiding.kind === "failed") throw tiding.error;
      if (tiding.kind === "resumed") all.loose();
      if (tiding.kind === "anew") yield* all.catchUp();
      if (tiding.kind === "event") yield* all.take(tiding.event);
    }
  } catch (error) {
    if (!signal?.aborted) throw error;
  } finally {
    leave();
  }
}

/** All are the followers of the caller's sessions. */
class All {
  readonly #api: Reader;
  readonly #signal: AbortSignal | undefined;
  readonly #followers = new Map<string, Follower>();

  constructor(api: Reader, signal: AbortSignal | undefined) {
    this.#api = api;
    this.#signal = signal;
  }

  loose(): void {
    for (const follower of this.#followers.values()) follower.loose();
  }

  /** catchUp gives what happened in the sessions that are known, and the others that are not over. */
  async *catchUp(): AsyncGenerator<Change, void, void> {
    for (const [id, follower] of [...this.#followers]) yield* this.#while(id, follower.catchUp());
    let cursor: string | undefined;
    do {
      const page: SessionList = await this.#api.listPage({
        statuses: ["created", "active", "reconnecting"], pageSize: 200, signal: this.#signal, patient: true, ...(cursor === undefined ? {} : { cursor }),
      });
      for (const session of page.items) {
        if (!this.#followers.has(session.sessionId)) yield this.#begin(session);
      }
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }

  async *take(event: Envelope): AsyncGenerator<Change, void, void> {
    const { sessionId } = event;
    const known = this.#followers.get(sessionId);
    yield* this.#while(sessionId, known === undefined ? this.#meet(sessionId) : known.take(event));
    if (isEventOfType(event, "call.member.removed")) yield* this.#while(sessionId, this.#look(sessionId));
  }

  /** #meet gives a session that was not known; what the stream told of it is in its snapshot. */
  async *#meet(sessionId: string): AsyncGenerator<Change, void, void> {
    yield this.#begin(await this.#api.get(sessionId, { signal: this.#signal, patient: true }));
  }

  // eslint-disable-next-line require-yield
  async *#look(sessionId: string): AsyncGenerator<Change, void, void> {
    await this.#api.get(sessionId, { signal: this.#signal, patient: true });
  }

  #begin(session: Session): Change {
    const follower = new Follower(this.#api, session.sessionId, session.lastEventId, this.#signal);
    this.#followers.set(session.sessionId, follower);
    if (this.#followers.size > followedAtMost) {
      const [oldest] = this.#followers.keys();
      this.#followers.delete(oldest as string);
    }
    return { kind: "snapshot", session };
  }

  /** #while gives changes of a session as long as the caller may read it. */
  async *#while(sessionId: string, changes: AsyncGenerator<Change, void, void>): AsyncGenerator<Change, void, void> {
    try {
      yield* changes;
    } catch (error) {
      if (!isOut(error)) throw error;
      this.#followers.delete(sessionId);
    }
  }
}

/** isOut tells that the caller may not, or may no longer, read a session. */
export function isOut(error: unknown): boolean {
  return error instanceof CallplaneError && (error.code === "session_not_found" || error.code === "forbidden");
}
