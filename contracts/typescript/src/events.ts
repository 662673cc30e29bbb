// Generated from the JSON Schemas of the events by make generate; not to be edited.

/** The types of all events that this version of the catalogue has. */
export const EVENT_TYPES = [
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

export type ErrorValue = {
  readonly code: ErrorCode;
  /** For people to read. */
  readonly message: Message;
};

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
  /** The new value of each field that changed. At least 1 fields. */
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

/** Any event of the catalogue, told apart by its type. */
export type CallplaneEvent =
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
  | CallUpdatedEvent;

/** The event of a type. */
export type EventOf<T extends EventType> = Extract<CallplaneEvent, { readonly type: T }>;

/** The payload of a type. */
export type PayloadOf<T extends EventType> = EventOf<T>["payload"];

const majors: Readonly<Record<EventType, string>> = {
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
