// Events for tests.
import type { Envelope } from "../src/events.ts";

let count = 0;

/** event makes one of a type, with an id that no other has. */
export function event(sessionId: string, type: string, payload: object): Envelope {
  count++;
  const eventId = `00000000-0000-4000-8000-${String(count).padStart(12, "0")}`;
  const timestamp = `2026-01-01T00:00:00.${String(count % 1000).padStart(3, "0")}Z`;
  return { eventId, timestamp, sessionId, type, actor: { type: "user", id: "alice" }, payload, version: "1.0" };
}

export function created(sessionId: string, members: readonly string[] = ["alice", "bob"]): Envelope {
  return event(sessionId, "call.created", {
    ownerId: members[0], kind: "audio", provider: "livekit", title: null, metadata: {}, sessionVersion: 1,
    members: members.map((userId, n) => ({ userId, role: n === 0 ? "host" : "participant" })),
  });
}

export function said(sessionId: string): Envelope {
  return event(sessionId, "transcript.final", { text: "well" });
}

/** chance is a generator of numbers from 0 to 1 that gives the same ones for a seed (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
