import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import type { Envelope } from "../src/events.ts";

interface Outcome {
  readonly code: number | null;
  readonly received: readonly { readonly id: string; readonly event: Envelope }[];
  readonly timeline: Record<string, unknown>;
  readonly stderr: string;
}

async function serve(t: TestContext, answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`;
}

/** Runs the program as anybody would, and reads what it printed. */
async function follow(...args: string[]): Promise<Outcome> {
  const child = spawn(process.execPath, [fileURLToPath(new URL("follow.ts", import.meta.url)), ...args]);
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  const lines = stdout.split("\n").filter(Boolean).map((line) => JSON.parse(line) as Record<string, unknown>);
  const last = lines.find((line) => "timeline" in line);
  return {
    code, stderr,
    received: lines.filter((line) => "event" in line) as unknown as Outcome["received"],
    timeline: (last?.["timeline"] ?? {}) as Record<string, unknown>,
  };
}

function example(type: string): Envelope {
  return JSON.parse(readFileSync(new URL(`../../events/examples/${type}/valid.json`, import.meta.url), "utf8")) as Envelope;
}

function message(event: Envelope): string {
  return `id: ${event.eventId}\nevent: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

/** A call of which each event has an id of its own. */
const call: readonly Envelope[] = [
  "call.created", "call.connecting", "call.connected", "call.participant.joined", "transcript.final", "call.track.published", "call.ended",
].map((type, i) => ({ ...example(type), eventId: `00000000-0000-7000-8000-00000000000${i}` }));

test("a stream that is cut again and again is read whole, each event once", async (t) => {
  const asked: (string | undefined)[] = [];
  const url = await serve(t, (request, response) => {
    const after = request.headers["last-event-id"] as string | undefined;
    asked.push(after);
    assert.equal(request.headers["x-user-id"], "alice");
    assert.equal(request.headers.accept, "text/event-stream");
    const next = call.findIndex((event) => event.eventId === after) + 1;
    response.writeHead(200, { "Content-Type": "text/event-stream; charset=utf-8" });
    // One event whole and the next one cut in its middle, in pieces that keep to no border.
    const text = Buffer.from(": heartbeat\n\nretry: 1\n" + call.slice(next, next + 2).map(message).join(""));
    const end = next + 1 < call.length ? text.length - 20 : text.length;
    for (let at = 0; at < end; at += 7) response.write(text.subarray(at, Math.min(at + 7, end)));
    response.end();
  });
  const outcome = await follow(url, "--header", "X-User-Id: alice", "--until", "call.ended");
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.deepEqual(outcome.received.map(({ event }) => event), call);
  assert.deepEqual(outcome.received.map(({ id }) => id), call.map((event) => event.eventId));
  assert.deepEqual(asked, [undefined, ...call.slice(0, -1).map((event) => event.eventId)]);
  assert.equal(outcome.timeline["status"], "ended");
  assert.equal(outcome.timeline["count"], call.length);
  assert.equal(Object.keys(outcome.timeline["transcript"] as object).length, 1);
});

test("what a newer service sends beside is passed over, and the cursor kept", async (t) => {
  const stranger = { ...example("call.ended"), type: "call.teleported" };
  const url = await serve(t, (request, response) => {
    assert.equal(request.headers["last-event-id"], "cursor-0");
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write("id: cursor-1\nevent: ready\ndata: {}\n\n");
    response.write(`id: cursor-2\nevent: call.teleported\ndata: ${JSON.stringify(stranger)}\n\n`);
    response.write(`id: cursor-3\nevent: call.ended\ndata: ${JSON.stringify(example("call.ended"))}\n\n`);
  });
  const outcome = await follow(url, "--last-event-id", "cursor-0", "--count", "2");
  assert.equal(outcome.code, 0, outcome.stderr);
  assert.deepEqual(outcome.received.map(({ id }) => id), ["cursor-2", "cursor-3"]);
  assert.deepEqual(outcome.timeline["unknown"], ["call.teleported"]);
});

test("a refusal ends it with what the service said, a passing fault does not", async (t) => {
  let faults = 0;
  const url = await serve(t, (_, response) => {
    if (faults++ === 0) {
      response.writeHead(503, { "Content-Type": "application/problem+json" }).end('{"code":"unavailable"}');
      return;
    }
    response.writeHead(410, { "Content-Type": "application/problem+json" }).end('{"code":"watermark_gone"}');
  });
  const outcome = await follow(url);
  assert.equal(outcome.code, 1);
  assert.match(outcome.stderr, /410.*watermark_gone/);
  assert.equal(faults, 2);
});

test("a stream that does not come to its end in time fails", async (t) => {
  const url = await serve(t, (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(message(example("call.created")));
  });
  const outcome = await follow(url, "--until", "call.ended", "--seconds", "1");
  assert.equal(outcome.code, 1);
  assert.match(outcome.stderr, /not over after 1 s/);
});
