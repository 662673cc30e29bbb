import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { created, event, said } from "./events.ts";
import { FakeService } from "./fakeservice.ts";

const session = "00000000-0000-7000-8000-000000000001";
const program = fileURLToPath(new URL("follow.ts", import.meta.url));

interface Outcome { readonly code: number; readonly ids: readonly string[]; readonly said: string }

/** Runs the program as anybody would. */
async function follow(...args: string[]): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], (error, stdout, stderr) => {
      resolve({ code: Number(error?.code ?? 0), ids: stdout.split("\n").filter(Boolean), said: stderr });
    });
  });
}

test("the program prints the log to its end, and what it comes to", async (t) => {
  const service = new FakeService();
  const url = await service.start();
  t.after(() => service.stop());
  service.log(created(session));
  service.log(said(session));
  const running = follow(url, session, "--header", "X-User-Id: alice");
  while (service.openStreams === 0) await new Promise(setImmediate);
  service.log(event(session, "call.ended", { reason: "completed", sessionVersion: 1, startedAt: null, endedAt: "2026-01-01T00:00:01Z" }));
  const outcome = await running;
  assert.equal(outcome.code, 0, outcome.said);
  assert.deepEqual(outcome.ids, service.logOf(session).map(({ eventId }) => eventId));
  assert.match(outcome.said, /"status":"ended".*"timeline":3/);
  assert.ok(service.seen.every(({ headers }) => headers["x-user-id"] === "alice"));
});

test("the program fails where the end does not come in time, and where there is no such session", async (t) => {
  const service = new FakeService();
  const url = await service.start();
  t.after(() => service.stop());
  service.log(created(session));
  const late = await follow(url, session, "--seconds", "1");
  assert.equal(late.code, 1);
  assert.match(late.said, /not over after 1 s/);
  const stranger = await follow(url, "00000000-0000-7000-8000-000000000009");
  assert.equal(stranger.code, 1);
});
