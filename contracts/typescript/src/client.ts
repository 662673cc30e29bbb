import type {
  Checkpoint, CreateSession, EventPage, Member, PatchSession, PostEvent, Role, Session, SessionList, Status, Token, TokenRequest,
} from "./api.ts";
import { connection } from "./connection.ts";
import { callOf, reduce, type Call } from "./call.ts";
import type { Envelope } from "./events.ts";
import { Transport, type ClientOptions, type RequestOptions } from "./transport.ts";
import { followAll, followOne, type Change } from "./watch.ts";
import { followAlone } from "./alone.ts";
import { acrossTabs } from "./tabs.ts";
import { UserStream } from "./userstream.ts";

/** Of requests that make something. */
export interface CreateOptions extends RequestOptions {
  /** What a repeat is known by for 24 h, also one that another page makes; a fresh one unless given. */
  readonly idempotencyKey?: string;
}

/** Of requests that change a session. */
export interface UpdateOptions extends RequestOptions {
  /** The version that the change is for; where the session has another by then, the error is `precondition_failed`. */
  readonly ifVersion?: number;
}

/** Of listing sessions. */
export interface ListOptions extends RequestOptions {
  readonly statuses?: readonly Status[];
  /** How many are asked for at once, 1 to 200; 50 unless given. */
  readonly pageSize?: number;
}

/** Of reading a session's log. */
export interface EventsOptions extends RequestOptions {
  /** The event behind which to begin; the log's beginning unless given. */
  readonly after?: string | undefined;
  /** 1 to 200; 50 unless given. */
  readonly limit?: number;
  readonly types?: readonly string[];
}

/** Of following a session. */
export interface WatchOptions extends RequestOptions {
  /** The event behind which to begin, as a page that was reloaded knows it; without it, a snapshot of the session comes first. */
  readonly after?: string;
  /**
   * `shared` (unless given): all that this client follows comes over the user's one stream, since browsers allow six connections to a host.
   * `own`: over a stream of the session's own, for a service that is no user of its sessions.
   */
  readonly stream?: "shared" | "own";
}

/** A client of the sessions service. Make one for a page and a user: what it follows shares one stream. */
export class Callplane {
  readonly #transport: Transport;
  readonly #stream: UserStream;

  constructor(options: ClientOptions) {
    this.#transport = new Transport(options);
    const own = connection(this.#transport);
    this.#stream = new UserStream(options.tabs === undefined ? own : acrossTabs(`callplane ${String(options.baseUrl)} ${options.tabs}`, own));
  }

  /** create makes a session, once, however often the request has to be sent. */
  async create(session: CreateSession = {}, options: CreateOptions = {}): Promise<Session> {
    const key = options.idempotencyKey ?? crypto.randomUUID();
    return this.#transport.json({
      method: "POST", path: ["sessions"], body: session, headers: { "Idempotency-Key": key }, repeatable: true, ...asked(options),
    });
  }

  /** get reads a session as it is now. */
  async get(sessionId: string, options: RequestOptions = {}): Promise<Session> {
    return this.#transport.json({ method: "GET", path: ["sessions", sessionId], repeatable: true, ...asked(options) });
  }

  /** list goes through the caller's sessions, the newest first, and asks for another page when it has come to the end of one. */
  async *list(options: ListOptions = {}): AsyncGenerator<Session, void, void> {
    let cursor: string | undefined;
    do {
      const page = await this.listPage({ ...options, ...(cursor === undefined ? {} : { cursor }) });
      yield* page.items;
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
  }

  /** listPage reads one page of the caller's sessions. */
  async listPage(options: ListOptions & { readonly cursor?: string } = {}): Promise<SessionList> {
    return this.#transport.json({
      method: "GET", path: ["sessions"], repeatable: true, ...asked(options),
      query: { status: options.statuses?.join(","), limit: options.pageSize, cursor: options.cursor },
    });
  }

  /** update changes what it is given and leaves the rest (RFC 7396). It is not sent again by itself, since another's change may lie between. */
  async update(sessionId: string, changes: PatchSession, options: UpdateOptions = {}): Promise<Session> {
    const headers = { "Content-Type": "application/merge-patch+json" };
    return this.#transport.json({
      method: "PATCH", path: ["sessions", sessionId], body: changes, repeatable: false, ...asked(options),
      headers: options.ifVersion === undefined ? headers : { ...headers, "If-Match": `"${options.ifVersion}"` },
    });
  }

  /** end ends a session for everybody. */
  async end(sessionId: string, options: RequestOptions & { readonly reason?: string } = {}): Promise<Session> {
    const { reason, ...rest } = options;
    return this.update(sessionId, { status: "ended", ...(reason === undefined ? {} : { endReason: reason }) }, rest);
  }

  /** setMember adds somebody, or gives them another role. */
  async setMember(sessionId: string, userId: string, role: Role, options: RequestOptions = {}): Promise<Member> {
    return this.#transport.json({
      method: "PUT", path: ["sessions", sessionId, "members", userId], body: { role }, repeatable: true, ...asked(options),
    });
  }

  /** removeMember takes somebody out of the session, and of the room. */
  async removeMember(sessionId: string, userId: string, options: RequestOptions = {}): Promise<void> {
    await this.#transport.empty({
      method: "DELETE", path: ["sessions", sessionId, "members", userId], repeatable: true, ...asked(options),
    });
  }

  /** token asks for what the media provider's SDK joins with. */
  async token(sessionId: string, wish: TokenRequest = {}, options: RequestOptions = {}): Promise<Token> {
    return this.#transport.json({
      method: "POST", path: ["sessions", sessionId, "token"], body: wish, repeatable: true, ...asked(options),
    });
  }

  /** eventsPage reads a page of a session's log. The error is `watermark_gone` where the log no longer holds the event to begin behind. */
  async eventsPage(sessionId: string, options: EventsOptions = {}): Promise<EventPage> {
    return this.#transport.json({
      method: "GET", path: ["sessions", sessionId, "events"], repeatable: true, ...asked(options),
      query: { after: options.after, limit: options.limit, types: options.types?.join(",") },
    });
  }

  /** events goes through a session's log as far as it goes now. */
  async *events(sessionId: string, options: EventsOptions = {}): AsyncGenerator<Envelope, void, void> {
    let after = options.after;
    for (;;) {
      const page = await this.eventsPage(sessionId, { limit: 200, ...options, after });
      yield* page.items;
      if (!page.hasMore) return;
      after = page.lastEventId;
    }
  }

  /** post adds an event to a session's log, once, as a service does. */
  async post(sessionId: string, event: PostEvent, options: RequestOptions = {}): Promise<Envelope> {
    const whole = event.eventId === undefined ? { ...event, eventId: crypto.randomUUID() } : event;
    return this.#transport.json({
      method: "POST", path: ["sessions", sessionId, "events"], body: whole, repeatable: true, ...asked(options),
    });
  }

  /** checkpoint reads how far a consumer has come in a session's log. */
  async checkpoint(sessionId: string, consumer: string, options: RequestOptions = {}): Promise<Checkpoint> {
    return this.#transport.json({
      method: "GET", path: ["sessions", sessionId, "checkpoints", consumer], repeatable: true, ...asked(options),
    });
  }

  /** setCheckpoint says how far a consumer has come. It never goes back. */
  async setCheckpoint(sessionId: string, consumer: string, eventId: string, options: RequestOptions = {}): Promise<Checkpoint> {
    return this.#transport.json({
      method: "PUT", path: ["sessions", sessionId, "checkpoints", consumer], body: { eventId }, repeatable: true, ...asked(options),
    });
  }

  /**
   * watch follows a session until the signal is aborted, or the caller may no longer read it: a snapshot, and then each event once and in
   * order, through whatever happens to connections and services. Where the log no longer holds what comes next, another snapshot does.
   */
  watch(sessionId: string, options: WatchOptions = {}): AsyncGenerator<Change, void, void> {
    if (options.stream === "own") return followAlone(this, this.#transport, sessionId, options);
    return followOne(this, this.#stream, sessionId, options);
  }

  /**
   * follow is watch folded: it yields the call, first as it is, then with each event. Its timeline has the whole log, as far as the service
   * keeps it.
   */
  async *follow(sessionId: string, options: RequestOptions = {}): AsyncGenerator<Call, void, void> {
    let call: Call | undefined;
    try {
      for await (const event of this.events(sessionId, { ...options, patient: true })) {
        if (call === undefined && event.type !== "call.created") break; // The log's beginning is gone.
        call = reduce(call, event);
      }
    } catch (error) {
      if (options.signal?.aborted) return;
      throw error;
    }
    if (call !== undefined) yield call;
    for await (const change of this.watch(sessionId, { ...options, ...(call === undefined ? {} : { after: call.lastEventId }) })) {
      call = change.kind === "snapshot" ? callOf(change.session, call?.timeline) : reduce(call, change.event);
      yield call;
    }
  }

  /**
   * watchAll follows all of the caller's sessions: a snapshot of each one that is not over, then what happens in any, and a snapshot of
   * each that comes to be, as of an incoming call.
   */
  watchAll(options: RequestOptions = {}): AsyncGenerator<Change, void, void> {
    return followAll(this, this.#stream, options);
  }
}

/** asked is what every request takes over from its options. */
function asked({ signal, patient = false }: RequestOptions): RequestOptions {
  return { signal, patient };
}
