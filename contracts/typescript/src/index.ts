export { callOf, reduce, type Call } from "./call.ts";
export {
  Callplane, type CreateOptions, type EventsOptions, type ListOptions, type UpdateOptions, type WatchOptions,
} from "./client.ts";
export { CallplaneError, type ErrorCode } from "./errors.ts";
export type { ClientOptions, RequestOptions, TokenSource } from "./transport.ts";
export type { Change } from "./watch.ts";
export type {
  Checkpoint, CreateSession, EventPage, FieldError, Kind, Member, Participant, PatchSession, PostEvent, Problem, ProblemCode, Role, Session,
  SessionError, SessionList, Status, Token, TokenRequest,
} from "./api.ts";
export { EVENT_TYPES, isCallplaneEvent, isEventOfType, type CallplaneEvent, type Envelope, type EventOf, type EventType, type PayloadOf } from "./events.ts";
