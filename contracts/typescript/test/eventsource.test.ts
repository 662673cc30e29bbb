import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

test("EventSource reads a stream whole that is cut and refused again and again, each event once", async (t) => {
  const ids = Array.from({ length: 30 }, (_, i) => `00000000-0000-7000-8000-0000000000${i + 10}`);
  let asked = 0;
  const server = createServer((request, response) => {
    assert.equal(request.headers["x-user-id"], "alice");
    if (++asked % 4 === 2) {
      response.writeHead(503).end();
      return;
    }
    const next = ids.indexOf(request.headers["last-event-id"] as string) + 1;
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    const message = (id: string): string => `id: ${id}\nevent: ${id === ids.at(-1) ? "call.ended" : "transcript.partial"}\ndata: {}\n\n`;
    const text = ids.slice(next, next + 2).map(message).join("");
    // The first event whole, the next one cut in its middle.
    response.write(next + 1 < ids.length ? text.slice(0, -20) : text, () => response.destroy());
  }).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  t.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`;
  const program = fileURLToPath(new URL("eventsource.ts", import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [program, url, "--header", "X-User-Id: alice", "--retry", "1"]);
  assert.deepEqual(stdout.split("\n").filter(Boolean), ids);
  assert.ok(asked > ids.length);
});
