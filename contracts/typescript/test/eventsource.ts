// Follows a stream of the service with EventSource, as a browser would, and prints the id of each event:
//   node test/eventsource.ts URL --until TYPE [--header 'Name: value']... [--retry MILLISECONDS] [--seconds N]
// It ends well with the first event of type --until. It fails when EventSource gives up, and when it takes longer than --seconds (30).
import { parseArgs } from "node:util";
import { EventSource, type FetchLike } from "eventsource";
import { EVENT_TYPES } from "../src/events.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    header: { type: "string", multiple: true, default: [] },
    until: { type: "string", default: "call.ended" },
    retry: { type: "string" },
    seconds: { type: "string", default: "30" },
  },
});
const [url] = positionals;
if (url === undefined || positionals.length > 1) {
  console.error("give one URL of a stream");
  process.exit(2);
}
const own = Object.fromEntries(
  values.header.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
  }),
);

/** EventSource has no headers of its own to set. Nor can it be told how long to wait before it comes back, except by the stream. */
const withHeaders: FetchLike = async (address, init) => {
  const response = await fetch(address, { ...init, headers: { ...init.headers, ...own } });
  const { status, redirected, headers } = response;
  if (status === 429 || status >= 500) {
    // EventSource gives up after any answer but 200, as its standard has it. It comes back after an error of the network.
    await response.body?.cancel();
    refused++;
    throw new Error(`the service answered ${status}`);
  }
  return { url: response.url, status, redirected, headers, body: response.body === null ? null : begun(response.body) };
};

function begun(body: ReadableStream<Uint8Array<ArrayBuffer>>): ReadableStream<Uint8Array<ArrayBuffer>> {
  if (values.retry === undefined) return body;
  const retry = new TextEncoder().encode(`retry: ${values.retry}\n\n`);
  return body.pipeThrough(new TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>>({ start: (stream) => stream.enqueue(retry) }));
}

let refused = 0;
const source = new EventSource(url, { fetch: withHeaders });
let opened = 0;
function end(code: number, reason: string): void {
  source.close();
  clearTimeout(timeout);
  console.error(`${reason}, after ${opened} connections and ${refused} refusals`);
  process.exitCode = code;
}
const timeout = setTimeout(() => end(1, `not over after ${values.seconds} s`), Number(values.seconds) * 1000);
source.addEventListener("open", () => opened++);
source.addEventListener("error", (error) => {
  if (source.readyState === source.CLOSED) end(1, `EventSource gave up: ${error.code ?? ""} ${error.message ?? ""}`);
});
for (const type of EVENT_TYPES) {
  source.addEventListener(type, (event: MessageEvent) => {
    console.log(event.lastEventId);
    if (type === values.until) end(0, "over");
  });
}
