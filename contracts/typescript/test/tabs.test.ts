import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import { Callplane, type Change } from "../src/index.ts";
import { created, said } from "./events.ts";
import { FakeService, problem } from "./fakeservice.ts";

const one = "00000000-0000-7000-8000-000000000001";

interface Tab {
  readonly changes: AsyncGenerator<Change, void, void>;
  close(): void;
}

/** tabs opens so many clients of one user, each of which follows the session. */
async function tabs(t: TestContext, count: number): Promise<{ service: FakeService; open: Tab[] }> {
  const service = new FakeService();
  const baseUrl = await service.start();
  service.log(created(one));
  const open = Array.from({ length: count }, () => {
    const life = new AbortController();
    return { changes: new Callplane({ baseUrl, tabs: "bob" }).watch(one, { signal: life.signal }), close: () => life.abort() };
  });
  t.after(() => {
    for (const tab of open) tab.close();
    service.stop();
  });
  return { service, open };
}

async function next(tab: Tab): Promise<string> {
  const { value } = await tab.changes.next();
  return value === undefined ? "over" : value.kind === "snapshot" ? "snapshot" : value.event.eventId;
}

test("eight tabs have one connection, and whichever closes, the others go on", { timeout: 20_000 }, async (t) => {
  const { service, open } = await tabs(t, 8);
  for (const tab of open) assert.equal(await next(tab), "snapshot");
  assert.equal(service.openStreams, 1);
  while (open.length > 0) {
    const events = [said(one), said(one)];
    for (const event of events) service.log(event);
    for (const tab of open) {
      for (const event of events) assert.equal(await next(tab), event.eventId);
    }
    assert.equal(service.openStreams, 1);
    // The first of those that are left has the connection; what is logged while another one gets it is in the log.
    open.shift()?.close();
    service.log(said(one));
    const missed = service.logOf(one).at(-1)?.eventId as string;
    for (const tab of open) assert.equal(await next(tab), missed);
  }
  while (service.openStreams > 0) await setImmediate();
});

test("a tab that is opened late begins at once", { timeout: 20_000 }, async (t) => {
  const { service, open: [first, late] } = await tabs(t, 2);
  assert.equal(await next(first as Tab), "snapshot");
  service.log(said(one));
  assert.equal(await next(first as Tab), service.logOf(one)[1]?.eventId);
  assert.equal(await next(late as Tab), "snapshot");
  assert.equal(service.openStreams, 1);
});

test("what the service refuses all tabs are told", { timeout: 20_000 }, async (t) => {
  const { service, open } = await tabs(t, 3);
  service.answer = ({ path }, response) => {
    if (!path.startsWith("/v1/call/events")) return false;
    problem(response, 401, "unauthenticated");
    return true;
  };
  for (const { changes } of open) await assert.rejects(changes.next(), { name: "CallplaneError", code: "unauthenticated", requestId: "r1" });
});
