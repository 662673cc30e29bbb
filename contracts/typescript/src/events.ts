// Generated from the JSON Schemas of the events by make generate; not to be edited.

/** The types of all events that this version of the catalogue has. */
export const EVENT_TYPES = [
  "action.executed",
  "action.failed",
  "action.proposed",
  "action.requires_confirmation",
  "billing.adjustment.created",
  "billing.usage.recorded",
  "call.connected",
  "call.connecting",
  "call.created",
  "call.disconnected",
  "call.ended",
  "call.error",
  "call.failed",
  "call.member.added",
  "call.member.removed",
  "call.member.updated",
  "call.participant.joined",
  "call.participant.left",
  "call.participant.reconnected",
  "call.participant.reconnecting",
  "call.reconnected",
  "call.reconnecting",
  "call.track.published",
  "call.track.unpublished",
  "call.updated",
  "orchestration.action.requested",
  "safety.approved",
  "safety.blocked",
  "transcript.final",
  "transcript.partial",
  "usage.stopped",
  "usage.tick",
  "usage.warning",
] as const;

/** The type of an event that this version of the catalogue has. */
export type EventType = (typeof EVENT_TYPES)[number];

/** RFC 9562, in lower case. Matches `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`. */
export type Uuid = string;

/**
 * RFC 3339, in UTC, from 1970 on. Format date-time; matches
 * `^(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?Z$`.
 */
export type Instant = string;

/** The session's version after the change. 1 to 9007199254740991. */
export type SessionVersion = number;

/** Visible ASCII. Matches `^[!-~]{1,128}$`. */
export type UserId = string;

export type Role = "host" | "participant" | "viewer";

/** The media provider's name, such as livekit. Matches `^[a-z][a-z0-9_-]{0,63}$`. */
export type Provider = string;

/** An id that the provider gave. Matches `^[!-~]{1,256}$`. */
export type ProviderId = string;

/** The room's name, the same for the session's whole life. Matches `^[!-~]{1,256}$`. */
export type RoomName = string;

/** Who is in the room: made of user and device. To be compared, not to be parsed. Matches `^[!-~]{1,256}$`. */
export type Identity = string;

/** 1 to 200 characters. */
export type Title = string | null;

/** The application's own; kept as it was given. */
export type Metadata = { readonly [name: string]: unknown };

/** 1 to 128 characters. */
export type Reason = string;

export interface ErrorValue {
  readonly code: ErrorCode;
  /** For people to read. */
  readonly message: Message;
}

/** Matches `^[a-z][a-z0-9_]{0,63}$`. */
export type ErrorCode = string;

/** For people to read. At most 1024 characters. */
export type Message = string;

export type LeaveReason = 
  | "unknown"
  | "client_initiated"
  | "duplicate_identity"
  | "server_shutdown"
  | "participant_removed"
  | "room_deleted"
  | "state_mismatch"
  | "join_failure"
  | "migration"
  | "signal_close"
  | "room_closed"
  | "user_unavailable"
  | "user_rejected"
  | "sip_trunk_failure"
  | "connection_timeout"
  | "media_failure"
  | "agent_error"
  | "reconnect_timeout";

export type TrackKind = "audio" | "video" | "data";

export type TrackSource = "camera" | "microphone" | "screen_share" | "screen_share_audio" | "unknown";

/**
 * RFC 9562, in lower case; null where there is none. Matches `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`.
 */
export type UuidOrNull = string | null;

/**
 * RFC 3339, in UTC, from 1970 on; null where there is none. Format date-time; matches
 * `^(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?Z$`.
 */
export type InstantOrNull = string | null;

/** Visible ASCII; null where there is none. Matches `^[!-~]{1,128}$`. */
export type UserIdOrNull = string | null;

/** The producer's own id of something. Visible ASCII, to be compared, not to be parsed. Matches `^[!-~]{1,128}$`. */
export type Id = string;

/**
 * The producer's own id of something. Visible ASCII, to be compared, not to be parsed; null where there is none. Matches
 * `^[!-~]{1,128}$`.
 */
export type IdOrNull = string | null;

/**
 * The eventId of the event that gave rise to this one; null where none did. Matches
 * `^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`.
 */
export type CausedBy = string | null;

/** Somebody, named as an actor is. */
export interface Party {
  readonly type: "user" | "service" | "provider" | "system";
  /** Matches `^[!-~]{1,128}$`. */
  readonly id: string;
}

/** Somebody, named as an actor is; null where it is nobody. */
export type PartyOrNull = {
  readonly type: "user" | "service" | "provider" | "system";
  /** Matches `^[!-~]{1,128}$`. */
  readonly id: string;
} | null;

/** Counted from 1. 1 to 9007199254740991. */
export type Sequence = number;

/**
 * What is to be done, by the orchestrator's own list. At most 64 characters; matches `^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*)*$`.
 */
export type ActionKind = string;

/** The producer's own; kept as it was given. At most 64 fields. */
export type OpenObject = { readonly [name: string]: unknown };

/** What it is, for people to read. 1 to 1024 characters. */
export type Summary = string;

export type Risk = "low" | "medium" | "high";

export type Severity = "low" | "medium" | "high" | "critical";

export interface Failure {
  readonly code: ErrorCode;
  /** For people to read. */
  readonly message: Message;
  readonly retryable: boolean;
}

/** The rule that was applied, and in which version of it. */
export interface Policy {
  /** The producer's own id of something. Visible ASCII, to be compared, not to be parsed. */
  readonly id: Id;
  /** The producer's own id of something. Visible ASCII, to be compared, not to be parsed; null where there is none. */
  readonly version: IdOrNull;
}

/** What was decided on. */
export interface Subject {
  readonly type: "session" | "user" | "event" | "action" | "segment";
  /** The producer's own id of something. Visible ASCII, to be compared, not to be parsed. */
  readonly id: Id;
}

/** What is measured. At most 64 characters; matches `^[a-z][a-z0-9_]*([.][a-z][a-z0-9_]*)*$`. */
export type Meter = string;

/** What one of the quantity is, in the singular. Matches `^[a-z][a-z0-9_]{0,31}$`. */
export type Unit = string;

/** A decimal number, not negative, as text: no reader rounds it. Matches `^(0|[1-9][0-9]{0,17})([.][0-9]{1,9})?$`. */
export type Quantity = string;

/**
 * A decimal number, not negative, as text: no reader rounds it; null where there is none. Matches
 * `^(0|[1-9][0-9]{0,17})([.][0-9]{1,9})?$`.
 */
export type QuantityOrNull = string | null;

/** A decimal number as text: no reader rounds it. Matches `^-?(0|[1-9][0-9]{0,17})([.][0-9]{1,9})?$`. */
export type SignedQuantity = string;

/** A sum that is owed; null where nobody has rated it. */
export type MoneyOrNull = {
  /** A decimal number, not negative, as text: no reader rounds it. */
  readonly value: Quantity;
  /** ISO 4217. Matches `^[A-Z]{3}$`. */
  readonly currency: string;
} | null;

/** A sum that is owed more (or, negative, less). */
export interface SignedMoney {
  /** A decimal number as text: no reader rounds it. */
  readonly value: SignedQuantity;
  /** ISO 4217. Matches `^[A-Z]{3}$`. */
  readonly currency: string;
}

/**
 * What every canonical event of Callplane is wrapped in: exactly these seven fields. The schema of each type refines type,
 * version and payload.
 */
export interface Envelope {
  /**
   * Identifies the event everywhere. Version 7 for what starts in Callplane, version 5 for what is derived from a provider's
   * fact.
   */
  readonly eventId: Uuid;
  /** When it happened, by the provider's clock where it has one. */
  readonly timestamp: Instant;
  /** The session it belongs to. */
  readonly sessionId: Uuid;
  /** What happened; a name of the catalogue. At most 64 characters; matches `^[a-z][a-z_]*(\.[a-z][a-z_]*)+$`. */
  readonly type: string;
  /** Who caused it. */
  readonly actor: {
    readonly type: "user" | "service" | "provider" | "system";
    /** Matches `^[!-~]{1,128}$`. */
    readonly id: string;
  };
  /** By the type's own schema. */
  readonly payload: object;
  /** major.minor of the type's contract. Matches `^(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})$`. */
  readonly version: string;
}

/** The payload of action.executed. */
export interface ActionExecutedPayload {
  /** The action, over all its events. */
  readonly actionId: Id;
  /** What is to be done, by the orchestrator's own list. */
  readonly kind: ActionKind;
  /** What came of it, for people to read. */
  readonly summary: Summary;
  /** What came of it, for programs. */
  readonly result: OpenObject;
  /** Who confirmed it; null where that was not needed. */
  readonly confirmedBy: UserIdOrNull;
  /** The eventId of the event that gave rise to this one; null where none did. */
  readonly causedBy: CausedBy;
}

/** An action was done. */
export interface ActionExecutedEvent extends Envelope {
  readonly type: "action.executed";
  readonly version: `1.${number}`;
  readonly actor: Envelope["actor"] & {
    readonly type?: "service";
  };
  readonly payload: ActionExecutedPayload;
}

/** The payload of action.failed. */
export interface ActionFailedPayload {
  /** The action, over all its events. */
  readonly actionId: Id;
  /** What is to be done, by the orchestrator's own list. */
  readonly kind: ActionKind;
  /** Why. declined, expired and blocked are the codes of what was not attempted. */
  readonly error: Failure;
  /** Who declined it; null where nobody did. */
  readonly declinedBy: UserIdOrNull;
  /** The eventId of the event that gave rise to this one; null where none did. */
  readonly causedBy: CausedBy;
}

/** An action was not done, and this attempt is over. */
export interface ActionFailedEvent extends Envelope {
  readonly type: "action.failed";
  readonly version: `1.${number}`;
  readonly actor: Envelope["actor"] & {
    readonly type?: "service";
  };
  readonly payload: ActionFailedPayload;
}

/** The payload of action.proposed. */
export interface ActionProposedPayload {
  /** The action, over all its events. */
  readonly actionId: Id;
  /** What is to be done, by the orchestrator's own list. */
  readonly kind: ActionKind;
  /** What it is, for people to read. */
  readonly summary: Summary;
  /** What the action is done with. */
  readonly arguments: OpenObject;
  readonly risk: Risk;
  /** Who wants it; null where the orchestrator came up with it by itself. */
  readonly requestedBy: PartyOrNull;
  /** The eventId of the event that gave rise to this one; null where none did. */
  readonly causedBy: CausedBy;
  /** After this it will not be done any more. */
  readonly expiresAt: InstantOrNull;
}

/** The orchestrator wants to do something. */
export interface ActionProposedEvent extends Envelope {
  readonly type: "action.proposed";
  readonly version: `1.${number}`;
  readonly actor: Envelope["actor"] & {
    readonly type?: "service";
  };
  readonly payload: ActionProposedPayload;
}

/** The payload of action.requires_confirmation. */
export interface ActionRequiresConfirmationPayload {
  /** The action, over all its events. */
  readonly actionId: Id;
  /** What is to be done, by the orchestrator's own list. */
  readonly kind: ActionKind;
  /** What it is, for people to read. */
  readonly summary: Summary;
  /** What the action is done with. */
  readonly arguments: OpenObject;
  readonly risk: Risk;
  /** Who wants it; null where the orchestrator came up with it by itself. */
  readonly requestedBy: PartyOrNull;
  /** Who may confirm: one of these users, or any member of this role. One confirmation is enough. At least 1 field. */
  readonly confirmBy: {
    /** 1 to 100 items; no item twice. */
    readonly userIds?: readonly UserId[];
    readonly role?: Role;
  };
  /** The eventId of the event that gave rise to this one; null where none did. */
  readonly causedBy: CausedBy;
  /** Not confirmed until then counts as declined. */
  readonly expiresAt: Instant;
}

/** An action waits for a person to agree to exactly this. */
export interface ActionRequiresConfirmationEvent extends Envelope {
  readonly type: "action.requires_confirmation";
  readonly version: `1.${number}`;
  readonly actor: Envelope["actor"] & {
    readonly type?: "service";
  };
  readonly payload: ActionRequiresConfirmationPayload;
}

/** The payload of billing.adjustment.created. */
export interface BillingAdjustmentCreatedPayload {
  /** This correction. */
  readonly adjustmentId: Id;
  /** The record; a correction names it. */
  readonly recordId: Id;
  /** Whose account it is booked on; null where that is settled elsewhere. */
  readonly accountId: IdOrNull;
  /** What is measured. */
  readonly meter: Meter;
  /** What one of the quantity is, in the singular. */
  readonly unit: Unit;
  /** What is added to the record; negative takes away. At least 1 field. */
  readonly change: {
    /** A decimal number as text: no reader rounds it. */
    readonly quantity?: SignedQuantity;
    /** A sum that is owed more (or, negative, less). */
    readonly amount?: SignedMoney;
  };
  /** Why, for programs. */
  readonly code: ErrorCode;
  /** For people to read. */
  readonly message: Message;
  /** Who decided it. */
  readonly createdBy: Party;
  /** The eventId of the event that gave rise to this one; null where none did. */
  readonly causedBy: CausedBy;
}

/** A booked record was corrected. The record stays as it is. */
export interface BillingAdjustmentCreatedEvent extends Envelope {
  readonly type: "billing.adjustment.created";
  readonly version: `1.${number}`;
  readonly actor: Envelope["actor"] & {
    readonly type?: "service";
  };
  readonly payload: BillingAdjustmentCreatedPayload;
}

/** The payload of billing.usage.recorded. */
export interface BillingUsageRecordedPayload {
  /** The record; a correction names it. */
  readonly recordId: Id;
  /** Whose account it is booked on; null where that is settled elsewhere. */
  readonly accountId: IdOrNull;
  /** What is measured. */
  readonly meter: Meter;
  /** What one of the quantity is, in the singular. */
  readonly unit: Unit;
  /** Whose use it is; null for the whole session's. */
  readonly userId: UserIdOrNull;
  /** Used in this period. */
  readonly quantity: Quantity;
  /** Start of the period, inclusive. */
  readonly from: Instant;
  /** End of the period, exclusive. */
  readonly to: Instant;
  /** What is owed for it, before tax; null where it is rated elsewhere. */
  readonly amount: MoneyOrNull;
  /** The eventId of the event that gave rise to this one; null where none did. */
  readonly causedBy: CausedBy;
}

/** Use was booked. */
export interface BillingUsageRecordedEvent extends Envelope {
  readonly type: "billing.usage.recorded";
  readonly version: `1.${number}`;
  readonly actor: Envelope["actor"] & {
    readonly type?: "service";
  };
  readonly payload: BillingUsageRecordedPayload;
}

/** The payload of call.connected. */
export interface CallConnectedPayload {
  readonly provider: "livekit";
  /** The room's name, the same for the session's whole life. */
  readonly roomName: RoomName;
  /** An id that the provider gave. */
  readonly roomSid: ProviderId;
  /** Who is in the room: made of user and device. To be compared, not to be parsed. */
  readonly identity: Identity;
  /** Visible ASCII. */
  readonly userId: UserId;
  /** An id that the provider gave. */
  readonly participantSid: ProviderId;
}

/** The first participant is in the room. Room name, identity and room sid become the session's correlation. */
export interface CallConnectedEvent extends Envelope {
  readonly type: "call.connected";
  readonly version: `1.${number}`;
  readonly payload: CallConnectedPayload;
}

/** The payload of call.connecting. */
export interface CallConnectingPayload {
  readonly provider: "livekit";
  /** The room's name, the same for the session's whole life. */
  readonly roomName: RoomName;
  /** An id that the provider gave. */
  readonly roomSid: ProviderId;
}

/** The provider's room showed its first sign of life. */
export interface CallConnectingEvent extends Envelope {
  readonly type: "call.connecting";
  readonly version: `1.${number}`;
  readonly payload: CallConnectingPayload;
}

/** The payload of call.created. */
export interface CallCreatedPayload {
  /** Visible ASCII. */
  readonly ownerId: UserId;
  readonly kind: "audio" | "video";
  /** The media provider's name, such as livekit. */
  readonly provider: Provider;
  readonly title: Title;
  /** The application's own; kept as it was given. */
  readonly metadata: Metadata;
  /** Who may take part from the start; the owner is one of them, as host. 1 to 100 items. */
  readonly members: readonly {
    /** Visible ASCII. */
    readonly userId: UserId;
    readonly role: Role;
  }[];
  /** The session's version after the change. */
  readonly sessionVersion: SessionVersion;
}

/** A session was made. */
export interface CallCreatedEvent extends Envelope {
  readonly type: "call.created";
  readonly version: `1.${number}`;
  readonly payload: CallCreatedPayload;
}

/** The payload of call.disconnected. */
export interface CallDisconnectedPayload {
  readonly provider: "livekit";
  /** The room's name, the same for the session's whole life. */
  readonly roomName: RoomName;
  /** An id that the provider gave. */
  readonly roomSid: ProviderId;
  readonly reason: "completed" | "reconnect_timeout" | "provider_failure";
}

/** The room is finished and nobody is expected back. */
export interface CallDisconnectedEvent extends Envelope {
  readonly type: "call.disconnected";
  readonly version: `1.${number}`;
  readonly payload: CallDisconnectedPayload;
}

/** The payload of call.ended. */
export interface CallEndedPayload {
  readonly reason: Reason;
  /** The session's version after the change. */
  readonly sessionVersion: SessionVersion;
  /**
   * When somebody first connected; null where nobody ever did. Format date-time; matches
   * `^(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?Z$`.
   */
  readonly startedAt: string | null;
  /** RFC 3339, in UTC, from 1970 on. */
  readonly endedAt: Instant;
}

/** The session is final, in good order. */
export interface CallEndedEvent extends Envelope {
  readonly type: "call.ended";
  readonly version: `1.${number}`;
  readonly payload: CallEndedPayload;
}

/** The payload of call.error. */
export interface CallErrorPayload {
  /** The media provider's name, such as livekit. */
  readonly provider: Provider;
  /** Matches `^[!-~]{1,256}$`. */
  readonly roomName: string | null;
  /** Matches `^[!-~]{1,256}$`. */
  readonly roomSid: string | null;
  readonly code: ErrorCode;
  /** For people to read. */
  readonly message: Message;
  readonly retryable: boolean;
}

/** The provider reported a problem with the call. */
export interface CallErrorEvent extends Envelope {
  readonly type: "call.error";
  readonly version: `1.${number}`;
  readonly payload: CallErrorPayload;
}

/** The payload of call.failed. */
export interface CallFailedPayload {
  readonly error: ErrorValue;
  /** 1 to 128 characters. */
  readonly reason: string | null;
  /** The session's version after the change. */
  readonly sessionVersion: SessionVersion;
  /**
   * When somebody first connected; null where nobody ever did. Format date-time; matches
   * `^(19[7-9][0-9]|[2-9][0-9]{3})-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?Z$`.
   */
  readonly startedAt: string | null;
  /** RFC 3339, in UTC, from 1970 on. */
  readonly endedAt: Instant;
}

/** The session is final, by an error. */
export interface CallFailedEvent extends Envelope {
  readonly type: "call.failed";
  readonly version: `1.${number}`;
  readonly payload: CallFailedPayload;
}

/** The payload of call.member.added. */
export interface CallMemberAddedPayload {
  /** Visible ASCII. */
  readonly userId: UserId;
  readonly role: Role;
  /** The session's version after the change. */
  readonly sessionVersion: SessionVersion;
}

/** A user became a member of the session. */
export interface CallMemberAddedEvent extends Envelope {
  readonly type: "call.member.added";
  readonly version: `1.${number}`;
  readonly payload: CallMemberAddedPayload;
}

/** The payload of call.member.removed. */
export interface CallMemberRemovedPayload {
  /** Visible ASCII. */
  readonly userId: UserId;
  /** The session's version after the change. */
  readonly sessionVersion: SessionVersion;
}

/** A user is no longer a member of the session. */
export interface CallMemberRemovedEvent extends Envelope {
  readonly type: "call.member.removed";
  readonly version: `1.${number}`;
  readonly payload: CallMemberRemovedPayload;
}

/** The payload of call.member.updated. */
export interface CallMemberUpdatedPayload {
  /** Visible ASCII. */
  readonly userId: UserId;
  readonly role: Role;
  /** The session's version after the change. */
  readonly sessionVersion: SessionVersion;
}

/** A member has another role. */
export interface CallMemberUpdatedEvent extends Envelope {
  readonly type: "call.member.updated";
  readonly version: `1.${number}`;
  readonly payload: CallMemberUpdatedPayload;
}

/** The payload of call.participant.joined. */
export interface CallParticipantJoinedPayload {
  readonly provider: "livekit";
  /** The room's name, the same for the session's whole life. */
  readonly roomName: RoomName;
  /** An id that the provider gave. */
  readonly roomSid: ProviderId;
  /** Who is in the room: made of user and device. To be compared, not to be parsed. */
  readonly identity: Identity;
  /** Visible ASCII. */
  readonly userId: UserId;
  /** An id that the provider gave. */
  readonly participantSid: ProviderId;
  /** Matches `^[A-Za-z0-9_-]{1,64}$`. */
  readonly deviceId: string | null;
  /** RFC 3339, in UTC, from 1970 on. */
  readonly joinedAt: Instant;
}

/** Somebody came into the room. */
export interface CallParticipantJoinedEvent extends Envelope {
  readonly type: "call.participant.joined";
  readonly version: `1.${number}`;
  readonly payload: CallParticipantJoinedPayload;
}

/** The payload of call.participant.left. */
export interface CallParticipantLeftPayload {
  readonly provider: "livekit";
  /** The room's name, the same for the session's whole life. */
  readonly roomName: RoomName;
  /** An id that the provider gave. */
  readonly roomSid: ProviderId;
  /** Who is in the room: made of user and device. To be compared, not to be parsed. */
  readonly identity: Identity;
  /** Visible ASCII. */
  readonly userId: UserId;
  /** An id that the provider gave. */
  readonly participantSid: ProviderId;
  readonly reason: LeaveReason;
  /** RFC 3339, in UTC, from 1970 on. */
  readonly leftAt: Instant;
}

/** Somebody left the room, or was lost and did not come back in time. */
export interface CallParticipantLeftEvent extends Envelope {
  readonly type: "call.participant.left";
  readonly version: `1.${number}`;
  readonly payload: CallParticipantLeftPayload;
}

/** The payload of call.participant.reconnected. */
export interface CallParticipantReconnectedPayload {
  readonly provider: "livekit";
  /** The room's name, the same for the session's whole life. */
  readonly roomName: RoomName;
  /** An id that the provider gave. */
  readonly roomSid: ProviderId;
  /** Who is in the room: made of user and device. To be compared, not to be parsed. */
  readonly identity: Identity;
  /** Visible ASCII. */
  readonly userId: UserId;
  /** An id that the provider gave. */
  readonly participantSid: ProviderId;
}

/** Somebody who was lost came back before the deadline. */
export interface CallParticipantReconnectedEvent extends Envelope {
  readonly type: "call.participant.reconnected";
  readonly version: `1.${number}`;
  readonly payload: CallParticipantReconnectedPayload;
}

/** The payload of call.participant.reconnecting. */
export interface CallParticipantReconnectingPayload {
  readonly provider: "livekit";
  /** The room's name, the same for the session's whole life. */
  readonly roomName: RoomName;
  /** An id that the provider gave. */
  readonly roomSid: ProviderId;
  /** Who is in the room: made of user and device. To be compared, not to be parsed. */
  readonly identity: Identity;
  /** Visible ASCII. */
  readonly userId: UserId;
  /** An id that the provider gave. */
  readonly participantSid: ProviderId;
  readonly reason: LeaveReason;
  /** RFC 3339, in UTC, from 1970 on. */
  readonly deadline: Instant;
}

/** Somebody was lost and may come back until the deadline. */
export interface CallParticipantReconnectingEvent extends Envelope {
  readonly type: "call.participant.reconnecting";
  readonly version: `1.${number}`;
  readonly payload: CallParticipantReconnectingPayload;
}

/** The payload of call.reconnected. */
export interface CallReconnectedPayload {
  readonly provider: "livekit";
  /** The room's name, the same for the session's whole life. */
  readonly roomName: RoomName;
  /** An id that the provider gave. */
  readonly roomSid: ProviderId;
}

/** Somebody who was lost came back before the deadline. */
export interface CallReconnectedEvent extends Envelope {
  readonly type: "call.reconnected";
  readonly version: `1.${number}`;
  readonly payload: CallReconnectedPayload;
}

/** The payload of call.reconnecting. */
export interface CallReconnectingPayload {
  readonly provider: "livekit";
  /** The room's name, the same for the session's whole life. */
  readonly roomName: RoomName;
  /** An id that the provider gave. */
  readonly roomSid: ProviderId;
  /** RFC 3339, in UTC, from 1970 on. */
  readonly deadline: Instant;
}

/** Nobody is present, and somebody who was lost may still come back. */
export interface CallReconnectingEvent extends Envelope {
  readonly type: "call.reconnecting";
  readonly version: `1.${number}`;
  readonly payload: CallReconnectingPayload;
}

/** The payload of call.track.published. */
export interface CallTrackPublishedPayload {
  readonly provider: "livekit";
  /** The room's name, the same for the session's whole life. */
  readonly roomName: RoomName;
  /** An id that the provider gave. */
  readonly roomSid: ProviderId;
  /** Who is in the room: made of user and device. To be compared, not to be parsed. */
  readonly identity: Identity;
  /** Visible ASCII. */
  readonly userId: UserId;
  /** An id that the provider gave. */
  readonly participantSid: ProviderId;
  /** An id that the provider gave. */
  readonly trackSid: ProviderId;
  readonly kind: TrackKind;
  readonly source: TrackSource;
  /** At most 256 characters. */
  readonly name: string | null;
  /** At most 128 characters. */
  readonly mimeType: string | null;
}

/** A participant began to publish a track. */
export interface CallTrackPublishedEvent extends Envelope {
  readonly type: "call.track.published";
  readonly version: `1.${number}`;
  readonly payload: CallTrackPublishedPayload;
}

/** The payload of call.track.unpublished. */
export interface CallTrackUnpublishedPayload {
  readonly provider: "livekit";
  /** The room's name, the same for the session's whole life. */
  readonly roomName: RoomName;
  /** An id that the provider gave. */
  readonly roomSid: ProviderId;
  /** Who is in the room: made of user and device. To be compared, not to be parsed. */
  readonly identity: Identity;
  /** Visible ASCII. */
  readonly userId: UserId;
  /** An id that the provider gave. */
  readonly participantSid: ProviderId;
  /** An id that the provider gave. */
  readonly trackSid: ProviderId;
  readonly kind: TrackKind;
  readonly source: TrackSource;
  /** At most 256 characters. */
  readonly name: string | null;
  /** At most 128 characters. */
  readonly mimeType: string | null;
}

/** A participant no longer publishes a track. */
export interface CallTrackUnpublishedEvent extends Envelope {
  readonly type: "call.track.unpublished";
  readonly version: `1.${number}`;
  readonly payload: CallTrackUnpublishedPayload;
}

/** The payload of call.updated. */
export interface CallUpdatedPayload {
  /** The new value of each field that changed. At least 1 field. */
  readonly changes: {
    readonly status?: "created" | "active" | "reconnecting" | "ended" | "failed";
    readonly endReason?: Reason;
    readonly title?: Title;
    /** The application's own; kept as it was given. */
    readonly metadata?: Metadata;
    /** The media provider's name, such as livekit. */
    readonly provider?: Provider;
    /** An id that the provider gave. */
    readonly providerRoomId?: ProviderId;
    /** An id that the provider gave. */
    readonly providerParticipantId?: ProviderId;
    /** An id that the provider gave. */
    readonly providerCallId?: ProviderId;
  };
  /** The session's version after the change. */
  readonly sessionVersion: SessionVersion;
}

/** Fields of a session were changed by a request. */
export interface CallUpdatedEvent extends Envelope {
  readonly type: "call.updated";
  readonly version: `1.${number}`;
  readonly payload: CallUpdatedPayload;
}

/** The payload of orchestration.action.requested. */
export interface OrchestrationActionRequestedPayload {
  /** The action, over all its events. */
  readonly actionId: Id;
  /** What is to be done, by the orchestrator's own list. */
  readonly kind: ActionKind;
  /** What the action is done with. */
  readonly arguments: OpenObject;
  /** Who wants it. */
  readonly requestedBy: Party;
  /** The eventId of the event that gave rise to this one; null where none did. */
  readonly causedBy: CausedBy;
  /** After this it is not wanted any more. */
  readonly expiresAt: InstantOrNull;
}

/** Somebody asked the orchestrator for an action. */
export interface OrchestrationActionRequestedEvent extends Envelope {
  readonly type: "orchestration.action.requested";
  readonly version: `1.${number}`;
  readonly actor: Envelope["actor"] & {
    readonly type?: "service";
  };
  readonly payload: OrchestrationActionRequestedPayload;
}

/** The payload of safety.approved. */
export interface SafetyApprovedPayload {
  /** This decision. */
  readonly decisionId: Id;
  /** The rule that was applied, and in which version of it. */
  readonly policy: Policy;
  /** What was decided on. */
  readonly subject: Subject;
  /** Why, for programs. */
  readonly code: ErrorCode;
  /** For people to read. */
  readonly message: Message;
  /** Who looked at it; null where the policy decided by itself. */
  readonly approvedBy: PartyOrNull;
  /** The decisionId of the block that this lifts; null where there was none. */
  readonly supersedes: IdOrNull;
  /** The eventId of the event that gave rise to this one; null where none did. */
  readonly causedBy: CausedBy;
  /** Until when it is allowed; null: for good. */
  readonly expiresAt: InstantOrNull;
}

/** A safety policy, or somebody by its rules, allows something. */
export interface SafetyApprovedEvent extends Envelope {
  readonly type: "safety.approved";
  readonly version: `1.${number}`;
  readonly actor: Envelope["actor"] & {
    readonly type?: "service";
  };
  readonly payload: SafetyApprovedPayload;
}

/** The payload of safety.blocked. */
export interface SafetyBlockedPayload {
  /** This decision. */
  readonly decisionId: Id;
  /** The rule that was applied, and in which version of it. */
  readonly policy: Policy;
  /** What was decided on. */
  readonly subject: Subject;
  /** Why, for programs. */
  readonly code: ErrorCode;
  /** For people to read. */
  readonly message: Message;
  readonly severity: Severity;
  /** The eventId of the event that gave rise to this one; null where none did. */
  readonly causedBy: CausedBy;
  /** Until when it is forbidden; null: until it is approved. */
  readonly expiresAt: InstantOrNull;
}

/** A safety policy forbids something. */
export interface SafetyBlockedEvent extends Envelope {
  readonly type: "safety.blocked";
  readonly version: `1.${number}`;
  readonly actor: Envelope["actor"] & {
    readonly type?: "service";
  };
  readonly payload: SafetyBlockedPayload;
}

/** The payload of transcript.final. */
export interface TranscriptFinalPayload {
  /** The utterance; the partials and the final of one share it. */
  readonly segmentId: Id;
  /** The segment's place among those of this transcript, in the order of speaking. */
  readonly sequence: Sequence;
  /** Counts the wordings of the segment; the highest one holds. */
  readonly revision: Sequence;
  /** Who spoke, as far as it is known; null where the voices were not told apart. */
  readonly speaker: {
    /** Visible ASCII; null where there is none. */
    readonly userId: UserIdOrNull;
    /** As in the room. Matches `^[!-~]{1,256}$`. */
    readonly identity: string | null;
    /** What the transcriber calls a voice that it can tell apart but not name. 1 to 64 characters. */
    readonly label: string | null;
  } | null;
  /** The track that was heard; null for a mix of several. Matches `^[!-~]{1,256}$`. */
  readonly trackSid: string | null;
  /** BCP 47; null where it was not recognized. At most 64 characters; matches `^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`. */
  readonly language: string | null;
  /** What was understood. Empty: nothing was said after all. At most 8192 characters. */
  readonly text: string;
  /** When the speech begins that the text covers. */
  readonly startedAt: Instant;
  /** When it ends. */
  readonly endedAt: Instant;
  /** Of the text as a whole; null where the transcriber gives none. 0 to 1. */
  readonly confidence: number | null;
}

/** What was said, as it stays. */
export interface TranscriptFinalEvent extends Envelope {
  readonly type: "transcript.final";
  readonly version: `1.${number}`;
  readonly actor: Envelope["actor"] & {
    readonly type?: "service";
  };
  readonly payload: TranscriptFinalPayload;
}

/** The payload of transcript.partial. */
export interface TranscriptPartialPayload {
  /** The utterance; the partials and the final of one share it. */
  readonly segmentId: Id;
  /** The segment's place among those of this transcript, in the order of speaking. */
  readonly sequence: Sequence;
  /** Counts the wordings of the segment; the highest one holds. */
  readonly revision: Sequence;
  /** Who spoke, as far as it is known; null where the voices were not told apart. */
  readonly speaker: {
    /** Visible ASCII; null where there is none. */
    readonly userId: UserIdOrNull;
    /** As in the room. Matches `^[!-~]{1,256}$`. */
    readonly identity: string | null;
    /** What the transcriber calls a voice that it can tell apart but not name. 1 to 64 characters. */
    readonly label: string | null;
  } | null;
  /** The track that was heard; null for a mix of several. Matches `^[!-~]{1,256}$`. */
  readonly trackSid: string | null;
  /** BCP 47; null where it was not recognized. At most 64 characters; matches `^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$`. */
  readonly language: string | null;
  /** What was understood. Empty: nothing was said after all. At most 8192 characters. */
  readonly text: string;
  /** When the speech begins that the text covers. */
  readonly startedAt: Instant;
  /** When it ends. */
  readonly endedAt: Instant;
  /** Of the text as a whole; null where the transcriber gives none. 0 to 1. */
  readonly confidence: number | null;
}

/** What is being said, as understood so far; it may still change. */
export interface TranscriptPartialEvent extends Envelope {
  readonly type: "transcript.partial";
  readonly version: `1.${number}`;
  readonly actor: Envelope["actor"] & {
    readonly type?: "service";
  };
  readonly payload: TranscriptPartialPayload;
}

/** The payload of usage.stopped. */
export interface UsageStoppedPayload {
  /** What is measured. */
  readonly meter: Meter;
  /** What one of the quantity is, in the singular. */
  readonly unit: Unit;
  /** Whose use it is; null for the whole session's. */
  readonly userId: UserIdOrNull;
  /** Used until the stop. */
  readonly total: Quantity;
  /** The limit that was reached; null where it was none. */
  readonly limit: QuantityOrNull;
  /** Why, for programs: limit_reached, balance_exhausted, ... */
  readonly code: ErrorCode;
  /** For people to read. */
  readonly message: Message;
}

/** Something may not be used any more. */
export interface UsageStoppedEvent extends Envelope {
  readonly type: "usage.stopped";
  readonly version: `1.${number}`;
  readonly actor: Envelope["actor"] & {
    readonly type?: "service";
  };
  readonly payload: UsageStoppedPayload;
}

/** The payload of usage.tick. */
export interface UsageTickPayload {
  /** What is measured. */
  readonly meter: Meter;
  /** What one of the quantity is, in the singular. */
  readonly unit: Unit;
  /** Whose use it is; null for the whole session's. */
  readonly userId: UserIdOrNull;
  /** Counts this meter's ticks of this user in this session: a gap is a tick that is missing. */
  readonly sequence: Sequence;
  /** Used in this period. */
  readonly quantity: Quantity;
  /** Used in the session so far, this period included. */
  readonly total: Quantity;
  /** Start of the period, inclusive. */
  readonly from: Instant;
  /** End of the period, exclusive. */
  readonly to: Instant;
}

/** Something was used. */
export interface UsageTickEvent extends Envelope {
  readonly type: "usage.tick";
  readonly version: `1.${number}`;
  readonly actor: Envelope["actor"] & {
    readonly type?: "service";
  };
  readonly payload: UsageTickPayload;
}

/** The payload of usage.warning. */
export interface UsageWarningPayload {
  /** What is measured. */
  readonly meter: Meter;
  /** What one of the quantity is, in the singular. */
  readonly unit: Unit;
  /** Whose use it is; null for the whole session's. */
  readonly userId: UserIdOrNull;
  /** Used so far. */
  readonly total: Quantity;
  /** What was reached. */
  readonly threshold: Quantity;
  /** Where it stops. */
  readonly limit: Quantity;
  /** When the limit is expected to be reached; null where that can not be told. */
  readonly limitReachedAt: InstantOrNull;
}

/** A limit of use is near. */
export interface UsageWarningEvent extends Envelope {
  readonly type: "usage.warning";
  readonly version: `1.${number}`;
  readonly actor: Envelope["actor"] & {
    readonly type?: "service";
  };
  readonly payload: UsageWarningPayload;
}

/** Any event of the catalogue, told apart by its type. */
export type CallplaneEvent =
  | ActionExecutedEvent
  | ActionFailedEvent
  | ActionProposedEvent
  | ActionRequiresConfirmationEvent
  | BillingAdjustmentCreatedEvent
  | BillingUsageRecordedEvent
  | CallConnectedEvent
  | CallConnectingEvent
  | CallCreatedEvent
  | CallDisconnectedEvent
  | CallEndedEvent
  | CallErrorEvent
  | CallFailedEvent
  | CallMemberAddedEvent
  | CallMemberRemovedEvent
  | CallMemberUpdatedEvent
  | CallParticipantJoinedEvent
  | CallParticipantLeftEvent
  | CallParticipantReconnectedEvent
  | CallParticipantReconnectingEvent
  | CallReconnectedEvent
  | CallReconnectingEvent
  | CallTrackPublishedEvent
  | CallTrackUnpublishedEvent
  | CallUpdatedEvent
  | OrchestrationActionRequestedEvent
  | SafetyApprovedEvent
  | SafetyBlockedEvent
  | TranscriptFinalEvent
  | TranscriptPartialEvent
  | UsageStoppedEvent
  | UsageTickEvent
  | UsageWarningEvent;

/** The event of a type. */
export type EventOf<T extends EventType> = Extract<CallplaneEvent, { readonly type: T }>;

/** The payload of a type. */
export type PayloadOf<T extends EventType> = EventOf<T>["payload"];

const majors: Readonly<Record<EventType, string>> = {
  "action.executed": "1",
  "action.failed": "1",
  "action.proposed": "1",
  "action.requires_confirmation": "1",
  "billing.adjustment.created": "1",
  "billing.usage.recorded": "1",
  "call.connected": "1",
  "call.connecting": "1",
  "call.created": "1",
  "call.disconnected": "1",
  "call.ended": "1",
  "call.error": "1",
  "call.failed": "1",
  "call.member.added": "1",
  "call.member.removed": "1",
  "call.member.updated": "1",
  "call.participant.joined": "1",
  "call.participant.left": "1",
  "call.participant.reconnected": "1",
  "call.participant.reconnecting": "1",
  "call.reconnected": "1",
  "call.reconnecting": "1",
  "call.track.published": "1",
  "call.track.unpublished": "1",
  "call.updated": "1",
  "orchestration.action.requested": "1",
  "safety.approved": "1",
  "safety.blocked": "1",
  "transcript.final": "1",
  "transcript.partial": "1",
  "usage.stopped": "1",
  "usage.tick": "1",
  "usage.warning": "1",
};

/**
 * Says whether an event is of the catalogue: of a type that it has, in the major version that it has. A newer service may send others;
 * they are to be passed over. The event is taken for valid, as the service has checked it.
 */
export function isCallplaneEvent(event: Envelope): event is CallplaneEvent {
  return Object.hasOwn(majors, event.type) && event.version.startsWith(majors[event.type as EventType] + ".");
}

/** Says whether an event is of the given type, in the major version that the catalogue has. */
export function isEventOfType<T extends EventType>(event: Envelope, type: T): event is EventOf<T> {
  return event.type === type && isCallplaneEvent(event);
}
