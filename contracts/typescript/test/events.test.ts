import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { EVENT_TYPES, isCallplaneEvent, isEventOfType, type Envelope, type EventType, type PayloadOf } from "../src/events.ts";
import { reduce } from "../src/call.ts";
import { created } from "./events.ts";

const examples = new URL("../../events/examples/", import.meta.url);

function example(type: string, name: string): Envelope {
  return JSON.parse(readFileSync(new URL(`${type}/${name}`, examples), "utf8")) as Envelope;
}

test("the types are those that there are examples of", () => {
  assert.deepEqual([...EVENT_TYPES], readdirSync(examples).sort());
});

test("every valid example is an event of its type, and folds", () => {
  for (const type of EVENT_TYPES) {
    for (const name of readdirSync(new URL(`${type}/`, examples)).filter((file) => file.startsWith("valid"))) {
      const event = example(type, name);
      assert.ok(isEventOfType(event, type), `${type}/${name}`);
      const call = reduce(reduce(undefined, created(event.sessionId)), event);
      assert.equal(call.timeline.length, 2, `${type}/${name}`);
    }
  }
});

test("what the catalogue does not have is passed over", () => {
  const known = example("call.ended", "valid.json");
  const strangers: Envelope[] = [
    { ...known, type: "call.teleported" },
    { ...known, type: "toString" },
    { ...known, version: "2.0" },
    { ...known, version: "11.0" },
  ];
  for (const stranger of strangers) {
    assert.ok(!isCallplaneEvent(stranger), `${stranger.type} ${stranger.version}`);
    assert.equal(reduce(reduce(undefined, created(stranger.sessionId)), stranger).status, "created");
  }
  assert.ok(isCallplaneEvent({ ...known, version: "1.10" }), "a newer minor version is read");
  assert.ok(!isEventOfType(known, "call.failed"));
});

// What the compiler must refuse; each line that it would let pass is an error of its own.
export function refused(event: Envelope): void {
  // @ts-expect-error a type that there isn't
  isEventOfType(event, "call.teleported");
  // @ts-expect-error another type's payload
  const payload: PayloadOf<"call.ended"> = { userId: "u", role: "host", sessionVersion: 1 };
  if (isEventOfType(event, "call.member.added")) {
    // @ts-expect-error a value that the enum does not have
    const same: boolean = event.payload.role === "owner";
    // @ts-expect-error events are facts
    event.payload.role = "host";
    void same;
  }
  if (isCallplaneEvent(event)) {
    // @ts-expect-error a field of one type alone, before the type is known
    void event.payload.endedAt;
    if (event.type === "call.ended") void event.payload.endedAt;
  }
  const types: readonly EventType[] = EVENT_TYPES;
  void [payload, types];
}
