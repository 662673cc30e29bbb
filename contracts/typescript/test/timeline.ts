// Folds a session's events into what a client would show of it. The switch has a case for each type of the catalogue, or does not compile.
import { isCallplaneEvent, type CallplaneEvent, type Envelope, type Role } from "../src/events.ts";

export type SessionStatus = "created" | "active" | "reconnecting" | "ended" | "failed";

export interface Timeline {
  status: SessionStatus;
  readonly members: Map<string, Role>;
  /** Who is in the room, by the provider's participant id. */
  readonly present: Map<string, string>;
  readonly tracks: Set<string>;
  /** The text of each segment in its latest wording, by the segment's place. */
  readonly transcript: Map<number, { readonly revision: number; readonly text: string; readonly final: boolean }>;
  readonly actions: Map<string, "requested" | "proposed" | "waiting" | "executed" | "failed">;
  /** What a safety policy forbids now: the code, by the subject. */
  readonly blocked: Map<string, string>;
  /** The last total of each meter, a decimal number as text. */
  readonly usage: Map<string, string>;
  /** Ids of what was booked and corrected. */
  readonly booked: string[];
  readonly problems: string[];
  /** Types that this catalogue does not have, passed over. */
  readonly unknown: string[];
  /** How many events were folded, and the id of the last. */
  count: number;
  lastEventId: string | null;
}

export function newTimeline(): Timeline {
  return {
    status: "created", members: new Map(), present: new Map(), tracks: new Set(), transcript: new Map(), actions: new Map(), blocked: new Map(),
    usage: new Map(), booked: [], problems: [], unknown: [], count: 0, lastEventId: null,
  };
}

/** Takes the next event of the session into account; of what it does not know, only that it came. */
export function fold(timeline: Timeline, event: Envelope): void {
  timeline.count++;
  timeline.lastEventId = event.eventId;
  if (isCallplaneEvent(event)) apply(timeline, event);
  else timeline.unknown.push(event.type);
}

function apply(timeline: Timeline, event: CallplaneEvent): void {
  switch (event.type) {
    case "call.created":
      for (const member of event.payload.members) timeline.members.set(member.userId, member.role);
      break;
    case "call.updated":
      timeline.status = event.payload.changes.status ?? timeline.status;
      break;
    case "call.member.added":
    case "call.member.updated":
      timeline.members.set(event.payload.userId, event.payload.role);
      break;
    case "call.member.removed":
      timeline.members.delete(event.payload.userId);
      break;
    case "call.connecting":
      break;
    case "call.connected":
    case "call.reconnected":
      timeline.status = "active";
      break;
    case "call.reconnecting":
      timeline.status = "reconnecting";
      break;
    case "call.disconnected":
      timeline.present.clear();
      timeline.tracks.clear();
      break;
    case "call.ended":
      timeline.status = "ended";
      break;
    case "call.failed":
      timeline.status = "failed";
      timeline.problems.push(event.payload.error.code);
      break;
    case "call.error":
      timeline.problems.push(event.payload.code);
      break;
    case "call.participant.joined":
    case "call.participant.reconnected":
      timeline.present.set(event.payload.participantSid, event.payload.userId);
      break;
    case "call.participant.reconnecting":
    case "call.participant.left":
      timeline.present.delete(event.payload.participantSid);
      break;
    case "call.track.published":
      timeline.tracks.add(event.payload.trackSid);
      break;
    case "call.track.unpublished":
      timeline.tracks.delete(event.payload.trackSid);
      break;
    case "transcript.partial":
    case "transcript.final": {
      const { sequence, revision, text } = event.payload;
      const before = timeline.transcript.get(sequence);
      if (before === undefined || before.revision < revision) {
        timeline.transcript.set(sequence, { revision, text, final: event.type === "transcript.final" });
      }
      break;
    }
    case "orchestration.action.requested":
      timeline.actions.set(event.payload.actionId, "requested");
      break;
    case "action.proposed":
      timeline.actions.set(event.payload.actionId, "proposed");
      break;
    case "action.requires_confirmation":
      timeline.actions.set(event.payload.actionId, "waiting");
      break;
    case "action.executed":
      timeline.actions.set(event.payload.actionId, "executed");
      break;
    case "action.failed":
      timeline.actions.set(event.payload.actionId, "failed");
      break;
    case "safety.blocked":
      timeline.blocked.set(`${event.payload.subject.type} ${event.payload.subject.id}`, event.payload.code);
      break;
    case "safety.approved":
      timeline.blocked.delete(`${event.payload.subject.type} ${event.payload.subject.id}`);
      break;
    case "usage.tick":
    case "usage.warning":
    case "usage.stopped":
      timeline.usage.set(event.payload.meter, event.payload.total);
      break;
    case "billing.usage.recorded":
      timeline.booked.push(event.payload.recordId);
      break;
    case "billing.adjustment.created":
      timeline.booked.push(event.payload.adjustmentId);
      break;
    default:
      return unreachable(event);
  }
}

/** The compiler lets nothing come here: a type without a case is an error in the switch. */
function unreachable(event: never): never {
  throw new Error(`no case for ${JSON.stringify(event)}`);
}

/** A timeline as JSON holds it. */
export function toJSON(timeline: Timeline): object {
  return Object.fromEntries(
    Object.entries(timeline).map(([name, value]: [string, unknown]) => {
      if (value instanceof Map) return [name, Object.fromEntries(value)];
      return [name, value instanceof Set ? [...value] : value];
    }),
  );
}
