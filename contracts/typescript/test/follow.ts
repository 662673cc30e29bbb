// Follows a stream of the service and prints a line of JSON for each event, and at its end what the events come to:
//   node test/follow.ts URL [--header 'Name: value']... [--last-event-id ID] [--until TYPE] [--count N] [--seconds N]
// It ends well after the first event of type --until, or after --count events, and fails when that takes longer than --seconds (30).
import { parseArgs } from "node:util";
import { readEvents } from "./stream.ts";
import { fold, newTimeline, toJSON } from "./timeline.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    header: { type: "string", multiple: true, default: [] },
    "last-event-id": { type: "string" },
    until: { type: "string" },
    count: { type: "string" },
    seconds: { type: "string", default: "30" },
  },
});
const [url] = positionals;
if (url === undefined || positionals.length > 1) {
  console.error("give one URL of a stream");
  process.exit(2);
}

const done = new AbortController();
const timedOut = AbortSignal.timeout(Number(values.seconds) * 1000);
const headers = Object.fromEntries(
  values.header.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
  }),
);
const lastEventId = values["last-event-id"];
const timeline = newTimeline();
try {
  const stream = readEvents({
    url, headers, signal: AbortSignal.any([done.signal, timedOut]), ...(lastEventId === undefined ? {} : { lastEventId }),
  });
  for await (const { id, event } of stream) {
    fold(timeline, event);
    console.log(JSON.stringify({ id, event }));
    if (event.type === values.until || timeline.count === Number(values.count)) done.abort();
    if (done.signal.aborted) break;
  }
  console.log(JSON.stringify({ timeline: toJSON(timeline) }));
  if (!done.signal.aborted) {
    console.error(`not over after ${values.seconds} s and ${timeline.count} events`);
    process.exitCode = 1;
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
