import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { test, type TestContext } from "node:test";
import { Window } from "happy-dom";
import { createElement, StrictMode, type FunctionComponent } from "react";
import { Callplane } from "../src/index.ts";
import { CallplaneProvider, useCall, useCallplane, useIncomingCalls } from "../src/react.ts";
import { created, event, said } from "./events.ts";
import { FakeService, problem } from "./fakeservice.ts";

const one = "00000000-0000-7000-8000-000000000001";
const other = "00000000-0000-7000-8000-000000000002";

/** Shows a component to bob, on a page of its own, and returns how to wait for a text on it. */
async function page(t: TestContext, shown: FunctionComponent): Promise<{ service: FakeService; reads: (text: string) => Promise<void>; leave: () => void }> {
  const window = new Window();
  Object.assign(globalThis, { window, document: window.document });
  const { createRoot } = await import("react-dom/client");
  const service = new FakeService();
  const client = new Callplane({ baseUrl: await service.start() });
  const place = window.document.createElement("div");
  const root = createRoot(place as unknown as Element);
  root.render(createElement(StrictMode, null, createElement(CallplaneProvider, { client, userId: "bob" }, createElement(shown))));
  t.after(async () => {
    root.unmount();
    service.stop();
    await window.happyDOM.close();
  });
  const reads = async (text: string): Promise<void> => {
    while (place.textContent !== text) {
      if (t.signal.aborted) throw new Error(`the page reads ${JSON.stringify(place.textContent)}, not ${JSON.stringify(text)}`);
      await setImmediate();
    }
  };
  return { service, reads, leave: () => root.unmount() };
}

test("a call is on the page, and what happens in it", { timeout: 20_000 }, async (t) => {
  const { service, reads, leave } = await page(t, () => {
    const { call, state } = useCall(one);
    return createElement("p", null, `${state}: ${call?.status ?? "?"}, ${call?.timeline.length ?? 0} events`);
  });
  service.log(created(one));
  await reads("live: created, 1 events");
  service.log(said(one));
  await reads("live: created, 2 events");
  service.answer = ({ path }, response) => {
    if (path !== `/v1/call/sessions/${one}`) return false;
    problem(response, 404, "session_not_found");
    return true;
  };
  service.log(event(one, "call.member.removed", { userId: "bob", role: "participant", sessionVersion: 2 }));
  await reads("over: created, 3 events");
  leave();
  while (service.openStreams > 0) await setImmediate();
});

test("who may not see a call is told so", { timeout: 20_000 }, async (t) => {
  const { reads } = await page(t, () => {
    const { state, error } = useCall(other);
    return createElement("p", null, `${state}: ${(error as { code?: string } | undefined)?.code ?? "-"}`);
  });
  await reads("over: session_not_found");
});

test("a call that somebody makes comes in, until it is over", { timeout: 20_000 }, async (t) => {
  const { service, reads } = await page(t, () => {
    assert.ok(useCallplane() instanceof Callplane);
    return createElement("p", null, useIncomingCalls().map((call) => call.ownerId).join(", ") || "nobody");
  });
  await reads("nobody");
  service.log(created(one));
  await reads("alice");
  service.log(created(other, ["bob", "alice"]));
  service.log(created("00000000-0000-7000-8000-000000000003", ["carol", "bob"]));
  await reads("carol, alice");
  service.log(event(one, "call.ended", { reason: "cancelled", sessionVersion: 1, startedAt: null, endedAt: "2026-01-01T00:00:01Z" }));
  await reads("carol");
});
