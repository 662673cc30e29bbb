// Generated from the OpenAPI document by make generate; not to be edited.

import type { Envelope, EventType } from "./events.ts";

/** RFC 9562, in lower case. Format uuid; matches `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`. */
export type Uuid = string;

/**
 * RFC 3339, in UTC. Format date-time; matches
 * `^(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?Z$`.
 */
export type Instant = string;

/**
 * RFC 3339, in UTC; null where it has not happened. Format date-time; matches
 * `^(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?Z$`.
 */
export type InstantOrNull = string | null;

/** 1 to 128 visible ASCII characters. Matches `^[!-~]{1,128}$`. */
export type UserId = string;

/**
 * host: may change and end the session, invite and remove; only the owner grants or revokes it. participant: may speak. viewer:
 * may watch.
 */
export type Role = "host" | "participant" | "viewer";

/** ended and failed are final. */
export type Status = "created" | "active" | "reconnecting" | "ended" | "failed";

/** What the call is made for; fixed at creation. */
export type Kind = "audio" | "video";

/**
 * The media provider's name. For livekit, tokens are issued and the room's events drive the session; for others the client
 * reports activation with PATCH. Matches `^[a-z][a-z0-9_-]{0,63}$`.
 */
export type Provider = string;

/** Written by the first activation, and immutable after it. Matches `^[!-~]{1,256}$`. */
export type ProviderId = string | null;

/** 1 to 200 characters. */
export type Title = string | null;

/** completed, cancelled (ended before anybody connected), or as it was given. 1 to 128 characters. */
export type EndReason = string | null;

/** The application's own, kept as it was given: at most 16 KiB of compact JSON and 32 levels. */
export type Metadata = { readonly [name: string]: unknown };

export interface Member {
  /** 1 to 128 visible ASCII characters. */
  readonly userId: UserId;
  /**
   * host: may change and end the session, invite and remove; only the owner grants or revokes it. participant: may speak. viewer:
   * may watch.
   */
  readonly role: Role;
}

/** Somebody who is or was in the call. Who left stays listed. */
export interface Participant {
  /** 1 to 128 visible ASCII characters. */
  readonly userId: UserId;
  /** Who is in the room: made of user and device. To be compared, not to be parsed. Matches `^[!-~]{1,256}$`. */
  readonly identity: string;
  readonly status: "present" | "reconnecting" | "left";
  /** RFC 3339, in UTC. */
  readonly joinedAt: Instant;
}

/** Why the session failed; null where it did not. */
export type SessionError = {
  /** Matches `^[a-z][a-z0-9_]{0,63}$`. */
  readonly code: string;
  /** At most 1024 characters. */
  readonly message: string;
} | null;

/** A call session as it is at one moment. */
export interface Session {
  /** RFC 9562, in lower case. */
  readonly sessionId: Uuid;
  /** 1 to 128 visible ASCII characters. */
  readonly ownerId: UserId;
  /** ended and failed are final. */
  readonly status: Status;
  readonly title: Title;
  /** What the call is made for; fixed at creation. */
  readonly kind: Kind;
  /**
   * The media provider's name. For livekit, tokens are issued and the room's events drive the session; for others the client
   * reports activation with PATCH.
   */
  readonly provider: Provider;
  /** Written by the first activation, and immutable after it. */
  readonly providerRoomId: ProviderId;
  /** Written by the first activation, and immutable after it. */
  readonly providerParticipantId: ProviderId;
  /** Written by the first activation, and immutable after it. */
  readonly providerCallId: ProviderId;
  /** The application's own, kept as it was given: at most 16 KiB of compact JSON and 32 levels. */
  readonly metadata: Metadata;
  /** 1 to 100 items. */
  readonly members: readonly Member[];
  readonly participants: readonly Participant[];
  /** Counts changes of status, members and settable fields, not of presence. It is the ETag. At least 1; format int64. */
  readonly version: number;
  /** RFC 3339, in UTC. */
  readonly createdAt: Instant;
  /** RFC 3339, in UTC. */
  readonly updatedAt: Instant;
  /** RFC 3339, in UTC; null where it has not happened. */
  readonly startedAt: InstantOrNull;
  /** RFC 3339, in UTC; null where it has not happened. */
  readonly endedAt: InstantOrNull;
  /** completed, cancelled (ended before anybody connected), or as it was given. */
  readonly endReason: EndReason;
  /** Why the session failed; null where it did not. */
  readonly error: SessionError;
  /** The last event of the session's log at this moment: a watermark to read on from with no gap. */
  readonly lastEventId: Uuid;
}

/** A page of sessions, the one created last first. */
export interface SessionList {
  /** At most 200 items. */
  readonly items: readonly Session[];
  /** For the next page; null on the last one. Matches `^[A-Za-z0-9_-]{1,512}$`. */
  readonly nextCursor: string | null;
  /**
   * Of the moment before the list was read, to follow from there what happens in the user's sessions; on the first page only,
   * otherwise null. Matches `^[A-Za-z0-9_-]{1,512}$`.
   */
  readonly eventsCursor: string | null;
}

export interface CreateSession {
  /** Default `"video"`. */
  readonly kind?: Kind;
  /** Default `"livekit"`. */
  readonly provider?: Provider;
  readonly title?: Title;
  /** Default `{}`. */
  readonly metadata?: Metadata;
  /** Who may take part besides the owner, who is a host in any case. At most 100 with the owner. At most 100 items. */
  readonly members?: readonly Member[];
  /** Only for service principals with the scope call:admin; otherwise the caller is the owner. */
  readonly ownerId?: UserId;
}

/**
 * A merge patch (RFC 7396): what is absent stays. The three provider ids are required with status active, for a provider other
 * than livekit. DependentSchemas `{"endReason":{"required":["status"],"properties":{"status":{"enum":["ended","failed"]}}}}`.
 */
export interface PatchSession {
  /** ended and failed are final. */
  readonly status?: Status;
  /** Goes with status ended or failed only. 1 to 128 characters. */
  readonly endReason?: string;
  readonly title?: Title;
  /** Merged into what there is (RFC 7396); null empties it. */
  readonly metadata?: { readonly [name: string]: unknown } | null;
  /**
   * The media provider's name. For livekit, tokens are issued and the room's events drive the session; for others the client
   * reports activation with PATCH.
   */
  readonly provider?: Provider;
  /** Matches `^[!-~]{1,256}$`. */
  readonly providerRoomId?: string;
  /** Matches `^[!-~]{1,256}$`. */
  readonly providerParticipantId?: string;
  /** Matches `^[!-~]{1,256}$`. */
  readonly providerCallId?: string;
}

export interface TokenRequest {
  /** 30 to 3600; default `600`. */
  readonly ttlSeconds?: number;
  /**
   * Tells a member's devices apart; at most 5 in a session. The same device gets the same identity. Matches
   * `^[A-Za-z0-9_-]{1,64}$`.
   */
  readonly deviceId?: string;
  /** What other participants see. 1 to 128 characters. */
  readonly displayName?: string;
}

export interface Token {
  /**
   * The media provider's name. For livekit, tokens are issued and the room's events drive the session; for others the client
   * reports activation with PATCH.
   */
  readonly provider: Provider;
  /** Where the client connects. Matches `^wss?://[!-~]+$`. */
  readonly url: string;
  /** A secret of the caller. Give it to the provider's client SDK. At most 8192 characters; matches `^[!-~]+$`. */
  readonly token: string;
  /** Matches `^[!-~]{1,256}$`. */
  readonly roomName: string;
  /** Matches `^[!-~]{1,256}$`. */
  readonly identity: string;
  /** RFC 3339, in UTC. */
  readonly expiresAt: Instant;
}

export interface EventPage {
  /** At most 200 items. */
  readonly items: readonly Envelope[];
  /** The watermark to read on from. It passes over events that were not asked for. */
  readonly lastEventId: Uuid;
  /** More events follow the watermark now. */
  readonly hasMore: boolean;
}

/** The closed list of codes. Decide on the code, not on title or detail. */
export type ProblemCode = 
  | "invalid_request"
  | "invalid_cursor"
  | "invalid_json"
  | "unauthenticated"
  | "forbidden"
  | "session_not_found"
  | "not_found"
  | "method_not_allowed"
  | "invalid_transition"
  | "session_final"
  | "provider_correlation_mismatch"
  | "provider_managed_transition"
  | "provider_not_supported"
  | "owner_immutable"
  | "device_limit"
  | "event_id_conflict"
  | "idempotency_in_progress"
  | "watermark_gone"
  | "precondition_failed"
  | "payload_too_large"
  | "unsupported_media_type"
  | "idempotency_key_reused"
  | "rate_limited"
  | "internal"
  | "provider_unavailable"
  | "unavailable";

export interface FieldError {
  /** JSON pointer (RFC 6901) into the body, "" for all of it, or the name of a parameter. */
  readonly pointer: string;
  /** Matches `^[a-z][a-z0-9_]*$`. */
  readonly code: string;
  /** At least 1 character. */
  readonly message: string;
}

/** An error (RFC 9457). */
export interface Problem {
  /** Format uri; matches `^https://callplane\.dev/problems/[a-z_]+$`. */
  readonly type: string;
  /** At least 1 character. */
  readonly title: string;
  /** 400 to 599. */
  readonly status: number;
  readonly detail?: string;
  /** The request's path. */
  readonly instance?: string;
  /** The closed list of codes. Decide on the code, not on title or detail. */
  readonly code: ProblemCode;
  /** The same request may succeed later. */
  readonly retryable: boolean;
  /** Finds the request in the logs; also in X-Request-Id. Matches `^[A-Za-z0-9._-]{1,128}$`. */
  readonly requestId: string;
  /** Finds the request in the traces (W3C Trace Context). Matches `^[0-9a-f]{32}$`. */
  readonly traceId?: string;
  /** Everything that is wrong with the input, all at once. At least 1 item. */
  readonly errors?: readonly FieldError[];
  /** With watermark_gone: the first event that the log holds. */
  readonly earliestEventId?: Uuid;
}

export interface PutMember {
  /**
   * host: may change and end the session, invite and remove; only the owner grants or revokes it. participant: may speak. viewer:
   * may watch.
   */
  readonly role: Role;
}

/** An event as a service posts it; the whole envelope may be given too. */
export interface PostEvent {
  /**
   * What a repeat is known by. Left out, the event gets one; then only an Idempotency-Key makes the request safe to repeat.
   * Format uuid; matches `^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$`.
   */
  readonly eventId?: string;
  /** When it happened. Left out, it is now, and in a repeat what it was then. */
  readonly timestamp?: Instant;
  /**
   * The session of the path. Format uuid; matches
   * `^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$`.
   */
  readonly sessionId?: string;
  /** By scope: transcript.*, orchestration.*, action.* and safety.* with call:events; usage.* and billing.* with call:usage. */
  readonly type: EventType;
  /** Passed over: it is always the caller. */
  readonly actor?: unknown;
  /** By the type's own JSON Schema. */
  readonly payload: { readonly [name: string]: unknown };
  /**
   * major.minor of the type's contract; left out, the one of this version. Of a newer minor version, payload fields that are not
   * known here are taken and kept. Matches `^(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})$`.
   */
  readonly version?: string;
}

export interface PutCheckpoint {
  /** Format uuid; matches `^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$`. */
  readonly eventId: string;
}

/** How far a consumer has come in the session's log, as it has said itself. */
export interface Checkpoint {
  /** Matches `^[A-Za-z0-9._-]{1,64}$`. */
  readonly consumer: string;
  /** RFC 9562, in lower case. */
  readonly eventId: Uuid;
  /** RFC 3339, in UTC. */
  readonly updatedAt: Instant;
}
