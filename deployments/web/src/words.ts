import { CallplaneError, isCallplaneEvent, type Call, type CallplaneEvent, type Envelope, type Session } from "@callplane/client";

/** plain says an error to a user. */
export function plain(error: unknown): string {
  if (!(error instanceof CallplaneError)) return error instanceof Error ? error.message : String(error);
  if (error.code === "network") return "The service can't be reached. Are you online?";
  if (error.code === "bad_response") return `The service does not answer as it should (status ${error.status}). Is it running?`;
  if (error.code === "session_not_found") return "There is no such call, or you are not in it.";
  const which = error.requestId === "" ? "" : ` (request ${error.requestId})`;
  return `${error.message}${which}`;
}

const reasons: Readonly<Record<string, string>> = {
  cancelled: "nobody had joined",
  activation_timeout: "nobody joined in time",
  reconnect_timeout: "nobody came back in time",
  provider_failure: "the media server lost the call",
  client_initiated: "hung up",
  connection_timeout: "lost the connection",
  participant_removed: "was removed",
  room_deleted: "the call was ended",
  duplicate_identity: "joined from elsewhere",
  unknown: "for an unknown reason",
};

function because(reason: string): string {
  return reasons[reason] ?? reason;
}

/** why says a reason behind something; nothing where all went as it should. */
function why(reason: string | null): string {
  return reason === null || reason === "completed" ? "" : `: ${because(reason)}`;
}

/** standing says to a user how a call is, and how bad that is; nothing where all is well. */
export function standing(call: Call, userId: string): { readonly text: string; readonly kind: "busy" | "good" | "bad" } | undefined {
  switch (call.status) {
    case "created":
      return { text: "Waiting for somebody to join.", kind: "busy" };
    case "reconnecting":
      return { text: "Everybody lost the connection. Waiting for them to come back.", kind: "busy" };
    case "ended":
      return { text: `The call is over${why(call.endReason)}.`, kind: "good" };
    case "failed":
      return { text: `The call failed: ${because(call.error?.code ?? "unknown")}.`, kind: "bad" };
    default:
      return awaited(call, userId);
  }
}

/** awaited says for whom a call waits while it goes on. */
function awaited(call: Call, userId: string): { readonly text: string; readonly kind: "busy" } | undefined {
  const present = new Set(call.participants.filter(({ status }) => status === "present").map((one) => one.userId));
  const lost = new Set(call.participants.filter(({ status }) => status === "reconnecting").map((one) => one.userId));
  const others = [...lost].filter((one) => one !== userId && !present.has(one));
  return others.length === 0 ? undefined : { text: `${others.join(", ")} lost the connection. Waiting for them to come back.`, kind: "busy" };
}

/** sentence says what an event tells. */
export function sentence(event: Envelope): string {
  return isCallplaneEvent(event) ? sentenceOf(event) : event.type;
}

function sentenceOf(event: CallplaneEvent): string {
  switch (event.type) {
    case "call.created": return `${event.payload.ownerId} made the call`;
    case "call.updated": return `${event.actor.id} changed ${Object.keys(event.payload.changes).join(", ")}`;
    case "call.ended": return `The call ended${why(event.payload.reason)}`;
    case "call.failed": return `The call failed: ${because(event.payload.error.code)}`;
    case "call.member.added": return `${event.payload.userId} was invited`;
    case "call.member.updated": return `${event.payload.userId} is ${event.payload.role} now`;
    case "call.member.removed": return `${event.payload.userId} was taken out`;
    case "call.connecting": return "The room is opening";
    case "call.connected": return `${event.payload.userId} connected the call`;
    case "call.reconnecting": return "Everybody lost the connection";
    case "call.reconnected": return "The call is back";
    case "call.disconnected": return `The room is closed${why(event.payload.reason)}`;
    case "call.participant.joined": return `${event.payload.userId} joined`;
    case "call.participant.reconnecting": return `${event.payload.userId} lost the connection`;
    case "call.participant.reconnected": return `${event.payload.userId} is back`;
    case "call.participant.left": return `${event.payload.userId} left: ${because(event.payload.reason)}`;
    case "call.track.published": return `${event.payload.userId} turned ${event.payload.source} on`;
    case "call.track.unpublished": return `${event.payload.userId} turned ${event.payload.source} off`;
    case "call.error": return `The media server has trouble: ${event.payload.message}`;
    default: return event.type;
  }
}

/** lasted says how long a call has lasted that began. */
export function lasted(session: Pick<Session, "startedAt" | "endedAt">): string {
  if (session.startedAt === null) return "";
  const seconds = Math.max(0, Math.round((Date.parse(session.endedAt ?? new Date().toISOString()) - Date.parse(session.startedAt)) / 1000));
  const minutes = Math.floor(seconds / 60);
  return `, ${minutes === 0 ? "" : `${minutes} min `}${seconds % 60} s`;
}

/** ago says when something was, seen from now (both in milliseconds). */
export function ago(then: number, now: number): string {
  const seconds = Math.round((now - then) / 1000);
  if (seconds < 2) return "now";
  if (seconds < 60) return `${seconds} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return new Date(then).toLocaleTimeString();
}
