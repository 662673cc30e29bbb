import type { Member, Participant, Session, Status } from "./api.ts";
import { isCallplaneEvent, type CallplaneEvent, type Envelope } from "./events.ts";

/**
 * Call is a session as its events make it, and those events. It lacks `updatedAt`, which the service counts by its own clock. The timeline
 * has what was folded, each event once and in order; a call that began with a snapshot does not have what came before.
 */
export interface Call extends Omit<Session, "updatedAt"> {
  readonly timeline: readonly Envelope[];
}

/** callOf makes a call of a snapshot. */
export function callOf(session: Session, timeline: readonly Envelope[] = []): Call {
  const { updatedAt: _, ...rest } = session;
  return { ...rest, timeline };
}

/**
 * reduce folds an event into a call, as the service does: the same events give the same state. An event that was folded before changes
 * nothing, and one that this version of the catalogue does not know only the timeline. The first event of a call is its `call.created`.
 */
export function reduce(call: Call | undefined, event: Envelope): Call {
  if (call?.timeline.some((known) => known.eventId === event.eventId)) return call;
  const next = isCallplaneEvent(event) ? change(call, event) : call;
  if (next === undefined) throw new TypeError("the events of a call begin with call.created, or behind a snapshot");
  return { ...next, lastEventId: event.eventId, timeline: [...(call?.timeline ?? []), event] };
}

/** What moves a call from one status to another, as in the service's own table. */
const moves: Readonly<Record<string, Partial<Record<Status, Status>>>> = {
  connected: { created: "active" },
  reconnecting: { active: "reconnecting" },
  reconnected: { reconnecting: "active" },
  completed: { active: "ended", reconnecting: "ended" },
  lost: { active: "failed", reconnecting: "failed" },
  providerError: { created: "failed" },
};

function move(call: Call, cause: keyof typeof moves): Call {
  const status = moves[cause]?.[call.status];
  return status === undefined ? call : { ...call, status, version: call.version + 1 };
}

function change(call: Call | undefined, event: CallplaneEvent): Call | undefined {
  if (event.type === "call.created") return call ?? created(event);
  if (call === undefined) return undefined;
  switch (event.type) {
    case "call.updated":
      return updated(call, event);
    case "call.ended":
      return { ...call, status: "ended", endedAt: precise(event.payload.endedAt), endReason: event.payload.reason };
    case "call.failed": {
      const { error, reason, endedAt, sessionVersion } = event.payload;
      return { ...call, status: "failed", endedAt: precise(endedAt), endReason: reason ?? null, error, version: sessionVersion };
    }
    case "call.member.added":
    case "call.member.updated": {
      const { userId, role, sessionVersion } = event.payload;
      return { ...call, members: put(call.members, { userId, role }), version: sessionVersion };
    }
    case "call.member.removed": {
      const { userId, sessionVersion } = event.payload;
      return { ...call, members: call.members.filter((m) => m.userId !== userId), version: sessionVersion };
    }
    case "call.connected": {
      const { roomName, identity, roomSid } = event.payload;
      return move(activated(call, roomName, identity, roomSid, event.timestamp), "connected");
    }
    case "call.reconnecting":
      return move(call, "reconnecting");
    case "call.reconnected":
      return move(call, "reconnected");
    case "call.disconnected":
      return move(call, event.payload.reason === "completed" ? "completed" : "lost");
    case "call.error":
      return event.payload.retryable ? call : move(call, "providerError");
    default:
      return presence(call, event);
  }
}

function created(event: Extract<CallplaneEvent, { type: "call.created" }>): Call {
  const { ownerId, title, kind, provider, metadata, members, sessionVersion } = event.payload;
  return {
    sessionId: event.sessionId, ownerId, status: "created", title: title ?? null, kind, provider, metadata,
    providerRoomId: null, providerParticipantId: null, providerCallId: null, members: [...members].sort(byUser), participants: [],
    version: sessionVersion, createdAt: precise(event.timestamp), startedAt: null, endedAt: null, endReason: null, error: null,
    lastEventId: event.eventId, timeline: [],
  };
}

function updated(call: Call, event: Extract<CallplaneEvent, { type: "call.updated" }>): Call {
  const { changes, sessionVersion } = event.payload;
  let next: Call = { ...call, version: sessionVersion };
  if (changes.title !== undefined) next = { ...next, title: changes.title };
  if (changes.metadata !== undefined) next = { ...next, metadata: changes.metadata };
  if (changes.endReason !== undefined) next = { ...next, endReason: changes.endReason };
  const { providerRoomId, providerParticipantId, providerCallId } = changes;
  if (providerRoomId !== undefined && providerParticipantId !== undefined && providerCallId !== undefined) {
    next = activated(next, providerRoomId, providerParticipantId, providerCallId, event.timestamp);
  }
  return changes.status === undefined ? next : { ...next, status: changes.status };
}

/** activated writes what only the first activation writes. */
function activated(call: Call, room: string, participant: string, id: string, at: string): Call {
  if (call.providerRoomId !== null) return call;
  return { ...call, providerRoomId: room, providerParticipantId: participant, providerCallId: id, startedAt: precise(at) };
}

function presence(call: Call, event: CallplaneEvent): Call {
  switch (event.type) {
    case "call.participant.joined": {
      const { identity, userId, joinedAt } = event.payload;
      const others = call.participants.filter((p) => p.identity !== identity);
      const joined: Participant = { userId, identity, status: "present", joinedAt: precise(joinedAt) };
      return { ...call, participants: [...others, joined].sort((a, b) => compare(a.identity, b.identity)) };
    }
    case "call.participant.reconnecting":
      return present(call, event.payload.identity, "reconnecting");
    case "call.participant.reconnected":
      return present(call, event.payload.identity, "present");
    case "call.participant.left":
      return present(call, event.payload.identity, "left");
    default:
      return call;
  }
}

function present(call: Call, identity: string, status: Participant["status"]): Call {
  return { ...call, participants: call.participants.map((p) => (p.identity === identity ? { ...p, status } : p)) };
}

function put(members: readonly Member[], member: Member): readonly Member[] {
  return [...members.filter((m) => m.userId !== member.userId), member].sort(byUser);
}

function byUser(a: Member, b: Member): number {
  return compare(a.userId, b.userId);
}

/** compare orders visible ASCII, as the service does. */
function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** precise writes an instant as the service keeps it: to the microsecond, with no needless digits. */
function precise(instant: string): string {
  const [whole, fraction = ""] = instant.slice(0, -1).split(".");
  const digits = fraction.slice(0, 6).replace(/0+$/, "");
  return digits === "" ? `${whole}Z` : `${whole}.${digits}Z`;
}
