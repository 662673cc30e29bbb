import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import type { Session } from "../src/api.ts";
import { callOf, reduce, type Call, type Envelope } from "../src/index.ts";
import { created, event, said } from "./events.ts";

interface Fold {
  readonly log: readonly Envelope[];
  readonly state: Omit<Session, "updatedAt">;
}

const folds = gunzipSync(readFileSync(new URL("../../events/vectors/folds.jsonl.gz", import.meta.url)))
  .toString().split("\n").filter(Boolean).map((line) => JSON.parse(line) as Fold);

function state(call: Call): Omit<Session, "updatedAt"> {
  const { timeline: _, ...rest } = call;
  return rest;
}

test("a thousand logs give the state that the service makes of them", () => {
  assert.equal(folds.length, 1000);
  for (const [n, { log, state: wanted }] of folds.entries()) {
    let call: Call | undefined;
    for (const one of log) {
      call = reduce(call, one);
      assert.equal(reduce(call, one), call, "what was folded before changes nothing");
    }
    assert.deepEqual(state(call as Call), wanted, `log ${n}`);
    assert.deepEqual(call?.timeline, log);
  }
});

test("from a snapshot anywhere in a log its end is the same", () => {
  for (const [n, { log, state: wanted }] of folds.entries()) {
    let whole: Call | undefined;
    for (const [at, one] of log.entries()) {
      whole = reduce(whole, one);
      if (at !== n % log.length) continue;
      const snapshot: Session = { ...state(whole), updatedAt: one.timestamp };
      assert.deepEqual(state(log.slice(at + 1).reduce(reduce, callOf(snapshot))), wanted, `log ${n}`);
    }
  }
});

test("events of a newer service stand in the timeline and change nothing", () => {
  const call = reduce(undefined, created("s"));
  const strange = { ...said("s"), type: "call.teleported" };
  const next = reduce(call, strange);
  assert.deepEqual(state(next), { ...state(call), lastEventId: strange.eventId });
  assert.deepEqual(next.timeline.at(-1), strange);
});

test("what has no beginning can't be folded", () => {
  assert.throws(() => reduce(undefined, event("s", "call.connected", {})), TypeError);
});
