import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { Callplane, CallplaneError, type ClientOptions } from "../src/index.ts";
import { created } from "./events.ts";
import { FakeService, json, problem } from "./fakeservice.ts";

const id = "00000000-0000-7000-8000-000000000001";

async function fake(t: TestContext, options: Partial<ClientOptions> = {}): Promise<{ service: FakeService; client: Callplane }> {
  const service = new FakeService();
  const baseUrl = await service.start();
  t.after(() => service.stop());
  return { service, client: new Callplane({ baseUrl, ...options }) };
}

test("a session is made under one key, however often the request is sent", async (t) => {
  const { service, client } = await fake(t);
  service.log(created(id));
  let refused = 0;
  service.answer = ({ method }, response) => {
    if (method !== "POST") return false;
    if (refused++ === 0) response.destroy();
    else if (refused === 2) problem(response, 503, "unavailable");
    else json(response, 201, service.session(id));
    return true;
  };
  assert.equal((await client.create({ kind: "audio" })).sessionId, id);
  const keys = service.seen.map(({ headers }) => headers["idempotency-key"]);
  assert.equal(keys.length, 3);
  assert.equal(new Set(keys).size, 1);
  assert.match(String(keys[0]), /^[0-9a-f-]{36}$/);
  await client.create({}, { idempotencyKey: "mine" });
  assert.equal(service.seen.at(-1)?.headers["idempotency-key"], "mine");
});

test("a change is sent again only where it has certainly had no effect", async (t) => {
  const { service, client } = await fake(t);
  service.log(created(id));
  let answers = [503];
  service.answer = (_, response) => {
    const status = answers.shift();
    if (status === undefined) return false;
    problem(response, status, status === 429 ? "rate_limited" : "unavailable", {}, { "Retry-After": "0" });
    return true;
  };
  await assert.rejects(client.update(id, { title: "x" }), { name: "CallplaneError", code: "unavailable", retryable: true, status: 503 });
  assert.equal(service.seen.length, 1);
  answers = [429];
  await client.update(id, { title: "x" }, { ifVersion: 4 });
  assert.equal(service.seen.length, 3);
  assert.equal(service.seen.at(-1)?.headers["if-match"], '"4"');
  assert.equal(service.seen.at(-1)?.headers["content-type"], "application/merge-patch+json");
});

test("an error says all that the service said", async (t) => {
  const { service, client } = await fake(t);
  const errors = [{ pointer: "/kind", code: "enum", message: "must be audio or video" }];
  service.answer = (_, response) => {
    problem(response, 400, "invalid_request", { detail: "see errors", errors });
    return true;
  };
  await assert.rejects(client.create(), (error) => {
    assert.ok(error instanceof CallplaneError);
    assert.deepEqual({ ...error }, {
      name: "CallplaneError", code: "invalid_request", retryable: false, status: 400, requestId: "r1", errors, earliestEventId: undefined, retryAfter: 0,
    });
    assert.equal(error.message, "No: see errors");
    return true;
  });
  service.answer = (_, response) => {
    response.writeHead(403).end("<html>");
    return true;
  };
  await assert.rejects(client.get(id), { code: "bad_response", status: 403, retryable: false });
});

test("what can't be reached is tried again, and then said", async () => {
  const client = new Callplane({ baseUrl: "http://127.0.0.1:1", retries: 1 });
  await assert.rejects(client.get(id), { code: "network", retryable: true, status: 0, requestId: "" });
});

test("a function is asked for a token each time, and again where one was refused", async (t) => {
  const tokens = ["old", "old", "new", "newer"];
  const { service, client } = await fake(t, { token: () => tokens.shift() as string });
  service.log(created(id));
  service.answer = ({ headers }, response) => {
    if (headers.authorization !== "Bearer old" || service.seen.length === 1) return false;
    problem(response, 401, "unauthenticated");
    return true;
  };
  await client.get(id);
  await client.get(id);
  await client.get(id);
  assert.deepEqual(service.seen.map(({ headers }) => headers.authorization), ["Bearer old", "Bearer old", "Bearer new", "Bearer newer"]);
  assert.ok(service.seen.every(({ path }) => !path.includes("old") && !path.includes("new")));
});

test("a list is read page by page", async (t) => {
  const { service, client } = await fake(t);
  service.log(created(id));
  service.answer = ({ path }, response) => {
    const cursor = new URL(path, "http://fake").searchParams.get("cursor");
    json(response, 200, { items: [service.session(id)], nextCursor: cursor === null ? "next" : null, eventsCursor: null });
    return true;
  };
  let listed = 0;
  for await (const session of client.list({ statuses: ["active", "created"], pageSize: 1 })) listed += Number(session.sessionId === id);
  assert.equal(listed, 2);
  assert.deepEqual(service.seen.map(({ path }) => path), [
    "/v1/call/sessions?status=active%2Ccreated&limit=1", "/v1/call/sessions?status=active%2Ccreated&limit=1&cursor=next",
  ]);
});

test("an aborted request ends with the signal's reason, and is not sent again", async (t) => {
  const { service, client } = await fake(t);
  const life = new AbortController();
  service.answer = () => {
    life.abort(new Error("gone"));
    return true;
  };
  await assert.rejects(client.get(id, { signal: life.signal }), /gone/);
  assert.equal(service.seen.length, 1);
});

test("paths are escaped, and one below a proxy's is kept", async (t) => {
  const service = new FakeService();
  const baseUrl = `${await service.start()}/calls/`;
  t.after(() => service.stop());
  service.answer = (_, response) => {
    response.writeHead(204).end();
    return true;
  };
  await new Callplane({ baseUrl, headers: { "X-User-Id": "alice" } }).removeMember(id, "a/b?c");
  assert.equal(service.seen[0]?.path, `/calls/v1/call/sessions/${id}/members/a%2Fb%3Fc`);
  assert.equal(service.seen[0]?.headers["x-user-id"], "alice");
});
