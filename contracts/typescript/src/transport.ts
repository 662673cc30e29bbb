import pRetry from "p-retry";
import { CallplaneError, problemOf, unanswered } from "./errors.ts";

/** A bearer token, or what gives one: it is asked before each request, so that it can give a fresh one. */
export type TokenSource = string | (() => string | Promise<string>);

/** How a client gets to the service. */
export interface ClientOptions {
  /** Where the service is, such as `https://calls.example.com`. A path is kept, so a proxy may serve it under one. */
  readonly baseUrl: string | URL;
  /** Goes into the header Authorization, never into a URL. */
  readonly token?: TokenSource;
  /** Further headers, such as X-User-Id for a service in development mode. */
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * All tabs of a browser in which this is the same share one connection to follow sessions by: name the user. A browser has six of them
   * for a service over HTTP/1.1, however many tabs are open. Unless given, each client has its own.
   */
  readonly tabs?: string;
  /** Instead of the environment's own. */
  readonly fetch?: typeof fetch;
  /** How often a request is repeated that may be; 4 unless given. */
  readonly retries?: number;
}

/** What every request may be given. */
export interface RequestOptions {
  /** Ends the request, and whatever it would do next. */
  readonly signal?: AbortSignal | undefined;
  /** Where it may be repeated, it is for as long as it takes, as in following. */
  readonly patient?: boolean;
}

export interface Call extends RequestOptions {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Segments, each to be escaped. */
  readonly path: readonly string[];
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * Whether it has the same effect when it is sent twice. Otherwise it is only repeated where it has certainly had none, as the service says
   * with 429.
   */
  readonly repeatable: boolean;
}

const pause = { minTimeout: 250, maxTimeout: 10_000, factor: 2, randomize: true } as const;

/** Transport sends requests and repeats them where that is safe. */
export class Transport {
  readonly #options: ClientOptions;
  readonly #fetch: typeof fetch;

  constructor(options: ClientOptions) {
    this.#options = options;
    // A browser's fetch must not be called as a method of something else.
    this.#fetch = options.fetch ?? ((input, init) => fetch(input, init));
  }

  /** json sends a request and reads the answer's body. */
  async json<T>(call: Call): Promise<T> {
    const attempt = async (): Promise<T> => {
      const response = await this.once(call);
      try {
        return (await response.json()) as T;
      } catch (cause) {
        if (call.signal?.aborted) throw call.signal.reason;
        throw new CallplaneError("bad_response", "the answer is not the JSON that it should be", {
          status: response.status, requestId: response.headers.get("x-request-id") ?? "", retryable: true, cause,
        });
      }
    };
    return this.#again(attempt, call);
  }

  /** empty sends a request whose answer has no body. */
  async empty(call: Call): Promise<void> {
    await this.#again(async () => { await (await this.once(call)).body?.cancel(); }, call);
  }

  /** once sends a request one time. Where the token was refused that a function gave, it is asked for another. */
  async once(call: Call): Promise<Response> {
    const token = await this.#token();
    const response = await this.#send(call, token);
    if (response.status === 401 && typeof this.#options.token === "function") {
      const fresh = await this.#token();
      if (fresh !== token) {
        await response.body?.cancel();
        return accepted(await this.#send(call, fresh));
      }
    }
    return accepted(response);
  }

  async #again<T>(attempt: () => Promise<T>, call: Call): Promise<T> {
    return pRetry(attempt, {
      ...pause,
      retries: call.patient ? Infinity : (this.#options.retries ?? 4),
      ...(call.signal === undefined ? {} : { signal: call.signal }),
      shouldRetry: ({ error }) => mayRepeat(error, call),
      onFailedAttempt: ({ error, retriesLeft }) => (retriesLeft > 0 && mayRepeat(error, call) ? patience(error, call.signal) : undefined),
    });
  }

  async #token(): Promise<string | undefined> {
    const { token } = this.#options;
    return typeof token === "function" ? token() : token;
  }

  async #send(call: Call, token: string | undefined): Promise<Response> {
    const headers = new Headers(this.#options.headers);
    headers.set("Accept", "application/json");
    if (call.body !== undefined) headers.set("Content-Type", "application/json");
    for (const [name, value] of Object.entries(call.headers ?? {})) headers.set(name, value);
    if (token !== undefined) headers.set("Authorization", `Bearer ${token}`);
    try {
      return await this.#fetch(this.#url(call), {
        method: call.method,
        headers,
        cache: "no-store",
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      });
    } catch (cause) {
      throw unanswered(cause, call.signal);
    }
  }

  #url(call: Call): URL {
    const url = new URL(this.#options.baseUrl);
    url.pathname = [url.pathname.replace(/\/+$/, ""), "v1", "call", ...call.path.map(encodeURIComponent)].join("/");
    for (const [name, value] of Object.entries(call.query ?? {})) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    return url;
  }
}

async function accepted(response: Response): Promise<Response> {
  if (!response.ok) throw await problemOf(response);
  return response;
}

function mayRepeat(error: Error, call: Call): boolean {
  return error instanceof CallplaneError && error.retryable && (call.repeatable || error.status === 429);
}

/** patience waits for as long as the service asked to be left alone. */
export async function patience(error: Error, signal: AbortSignal | undefined): Promise<void> {
  if (error instanceof CallplaneError && error.retryAfter > 0) await delay(error.retryAfter, signal);
}

/** delay waits for milliseconds, or throws the signal's reason as soon as it is aborted. */
export async function delay(milliseconds: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const aborted = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", aborted);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", aborted, { once: true });
  });
}
