import type { FieldError, Problem, ProblemCode } from "./api.ts";

/**
 * What a request ended with, as the service said it (RFC 9457), or as this package says it of what never came to an answer: `network` where
 * there was none, `bad_response` where it can't be read, `stream_ended` where a stream was silent for too long.
 */
export type ErrorCode = ProblemCode | "network" | "bad_response" | "stream_ended";

/** The one error that this package throws, beside those of an AbortSignal. Decide on `code`; `message` is for people. */
export class CallplaneError extends Error {
  override readonly name = "CallplaneError";
  readonly code: ErrorCode;
  /** The same request may succeed later. */
  readonly retryable: boolean;
  /** The HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** Finds the request in the service's logs; "" where it never got there. */
  readonly requestId: string;
  /** Everything that is wrong with the input. */
  readonly errors: readonly FieldError[];
  /** With `watermark_gone`: the first event that the log holds. */
  readonly earliestEventId: string | undefined;
  /** How long the service wants to be left alone, in milliseconds; 0 where it does not say. */
  readonly retryAfter: number;

  constructor(code: ErrorCode, message: string, rest: Partial<Omit<CallplaneError, "code" | "message" | "name">> & { cause?: unknown } = {}) {
    super(message, { cause: rest.cause });
    this.code = code;
    this.retryable = rest.retryable ?? false;
    this.status = rest.status ?? 0;
    this.requestId = rest.requestId ?? "";
    this.errors = rest.errors ?? [];
    this.earliestEventId = rest.earliestEventId;
    this.retryAfter = rest.retryAfter ?? 0;
  }
}

/** problemOf reads what an answer other than 2xx says. */
export async function problemOf(response: Response): Promise<CallplaneError> {
  const requestId = response.headers.get("x-request-id") ?? "";
  const retryAfter = 1000 * Number(response.headers.get("retry-after") ?? 0) || 0;
  const text = await response.text().catch(() => "");
  let problem: Partial<Problem> = {};
  try {
    problem = JSON.parse(text) as Partial<Problem>;
  } catch {
    // A proxy's page, as often as not.
  }
  const { status } = response;
  if (typeof problem?.code !== "string") {
    const retryable = status === 429 || status >= 500;
    return new CallplaneError("bad_response", `the answer was ${status} and no problem document`, { status, requestId, retryable, retryAfter });
  }
  return new CallplaneError(problem.code, [problem.title, problem.detail].filter(Boolean).join(": "), {
    status,
    requestId: problem.requestId ?? requestId,
    retryable: problem.retryable ?? false,
    errors: problem.errors ?? [],
    earliestEventId: problem.earliestEventId,
    retryAfter,
  });
}

/** unanswered makes the error of a request that got no answer; an aborted one keeps its reason. */
export function unanswered(cause: unknown, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  return new CallplaneError("network", "the service can't be reached", { retryable: true, cause });
}
