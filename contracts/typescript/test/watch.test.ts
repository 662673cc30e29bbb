import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import { Callplane, type Change } from "../src/index.ts";
import { chance, created, event, said } from "./events.ts";
import { FakeService, problem } from "./fakeservice.ts";

const one = "00000000-0000-7000-8000-000000000001";
const other = "00000000-0000-7000-8000-000000000002";

async function fake(t: TestContext): Promise<{ service: FakeService; client: Callplane; signal: AbortSignal }> {
  const service = new FakeService();
  const baseUrl = await service.start();
  const life = new AbortController();
  t.after(() => {
    life.abort();
    service.stop();
  });
  return { service, client: new Callplane({ baseUrl }), signal: life.signal };
}

/** ids are those of the events that a watch has given. */
function ids(changes: readonly Change[]): string[] {
  return changes.flatMap((change) => (change.kind === "event" ? [change.event.eventId] : []));
}

/** until reads changes up to an event. */
async function until(changes: AsyncGenerator<Change, void, void>, eventId: string): Promise<Change[]> {
  const read: Change[] = [];
  for (;;) {
    const { value, done } = await changes.next();
    if (done) throw new Error(`the watch ended after ${read.length} changes`);
    read.push(value);
    if (value.kind === "event" && value.event.eventId === eventId) return read;
  }
}

for (let seed = 1; seed <= 20; seed++) {
  test(`whatever happens to its streams, a watch gives each event once and in order (seed ${seed})`, async (t) => {
    const { service, client, signal } = await fake(t);
    const random = chance(seed);
    service.fate = () => (random() < 0.08 ? "cut" : "send");
    service.overlap = () => Math.floor(random() * 8);
    service.answer = ({ path, headers }, response) => {
      if (!path.startsWith("/v1/call/events") || headers["last-event-id"] === undefined || random() > 0.1) return false;
      problem(response, 400, "invalid_cursor");
      return true;
    };
    service.log(created(one));
    service.log(created(other));
    for (let n = 0; n < 5; n++) service.log(said(one));
    const watches = [one, other, one].map((session) => client.watch(session, { signal }));
    const firsts = await Promise.all(watches.map(async (watch) => watch.next()));
    const reading = Promise.all(watches.map(async (watch, n) => until(watch, `end ${n === 1 ? other : one}`)));
    for (let n = 0; n < 60; n++) {
      service.log(said(random() < 0.7 ? one : other));
      if (random() < 0.5) await setImmediate();
    }
    for (const session of [one, other]) service.log({ ...said(session), eventId: `end ${session}` });
    const read = await reading;
    for (const [n, changes] of read.entries()) {
      const first = firsts[n]?.value as Change;
      assert.ok(first.kind === "snapshot");
      const log = service.logOf(first.session.sessionId).map(({ eventId }) => eventId);
      assert.deepEqual(ids(changes), log.slice(log.indexOf(first.session.lastEventId) + 1));
    }
  });
}

test("all watches of a client share one stream, which ends with the last of them", async (t) => {
  const { service, client } = await fake(t);
  service.log(created(one));
  service.log(created(other));
  const lives = [new AbortController(), new AbortController(), new AbortController()];
  const watches = [client.watch(one, { signal: lives[0]?.signal }), client.watch(other, { signal: lives[1]?.signal }), client.watchAll({ signal: lives[2]?.signal })];
  for (const watch of watches) await watch.next();
  assert.equal(service.openStreams, 1);
  for (const [n, watch] of watches.entries()) {
    lives[n]?.abort();
    // What was given and not taken comes first.
    for (let done = false; !done; ) done = (await watch.next()).done === true;
  }
  while (service.openStreams > 0) await setImmediate();
});

test("where the log has lost what comes next, another snapshot does", async (t) => {
  const { service, client, signal } = await fake(t);
  const events = [created(one), said(one), said(one), said(one)];
  for (const logged of events) service.log(logged);
  service.forget(one, 3);
  const watch = client.watch(one, { signal, after: events[0]?.eventId as string });
  const { value } = await watch.next();
  assert.ok(value?.kind === "snapshot" && value.session.lastEventId === events[3]?.eventId);
  const next = said(one);
  service.log(next);
  assert.deepEqual(ids(await until(watch, next.eventId)), [next.eventId]);
});

test("a watch ends where its caller is put out, and fails where they never were in", async (t) => {
  const { service, client, signal } = await fake(t);
  service.log(created(one));
  const watch = client.watch(one, { signal });
  await watch.next();
  const removal = event(one, "call.member.removed", { userId: "bob", role: "participant", sessionVersion: 2 });
  service.answer = ({ path }, response) => {
    if (path !== `/v1/call/sessions/${one}` || service.logOf(one).length < 2) return false;
    problem(response, 404, "session_not_found");
    return true;
  };
  service.log(removal);
  assert.deepEqual(ids(await until(watch, removal.eventId)), [removal.eventId]);
  assert.equal((await watch.next()).done, true);
  await assert.rejects(client.watch(other, { signal }).next(), { code: "session_not_found" });
});

test("all of a user's calls are followed, also those that come to be", async (t) => {
  const { service, client, signal } = await fake(t);
  service.log(created(one));
  const watch = client.watchAll({ signal });
  const first = await watch.next();
  assert.ok(first.value?.kind === "snapshot" && first.value.session.sessionId === one);
  service.log(created(other));
  const incoming = await watch.next();
  assert.ok(incoming.value?.kind === "snapshot" && incoming.value.session.sessionId === other);
  const [here, there] = [said(one), said(other)];
  service.log(here);
  service.log(there);
  assert.deepEqual(ids(await until(watch, there.eventId)), [here.eventId, there.eventId]);
});

test("a stream of the session's own goes on behind the last event", async (t) => {
  const { service, client, signal } = await fake(t);
  service.log(created(one));
  const log = Array.from({ length: 12 }, () => said(one));
  service.answer = ({ path, headers }, response) => {
    if (!path.endsWith("/events")) return false;
    const next = log.findIndex(({ eventId }) => eventId === headers["last-event-id"]) + 1;
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    for (const sent of log.slice(next, next + 3)) response.write(`id: ${sent.eventId}\nevent: ${sent.type}\ndata: ${JSON.stringify(sent)}\n\n`);
    response.end("retry: 1\n\n");
    return true;
  };
  const changes = await until(client.watch(one, { stream: "own", signal }), log.at(-1)?.eventId as string);
  assert.equal(changes[0]?.kind, "snapshot");
  assert.deepEqual(ids(changes), log.map(({ eventId }) => eventId));
});

test("a call is followed from its beginning, folded", async (t) => {
  const { service, client, signal } = await fake(t);
  service.log(created(one));
  const calls = client.follow(one, { signal });
  assert.equal((await calls.next()).value?.status, "created");
  service.log(event(one, "call.connected", {
    provider: "livekit", roomName: "r", roomSid: "RM_1", identity: "alice#default", userId: "alice", participantSid: "PA_1",
  }));
  const { value: call } = await calls.next();
  assert.equal(call?.status, "active");
  assert.equal(call?.timeline.length, 2);
});
