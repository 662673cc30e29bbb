// Follows a session of a running service with this package, and prints the id of each event, and at its end what they come to:
//   node test/follow.ts SERVICE SESSION [--own] [--header 'Name: value']... [--after EVENT] [--until TYPE] [--seconds N]
// It ends well after the first event of type --until (call.ended), and fails when that takes longer than --seconds (30). --own follows over a
// stream of the session's own. Without --after it begins with the log's first event.
import { parseArgs } from "node:util";
import { Callplane, callOf, reduce, type Call, type Envelope } from "../src/index.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    own: { type: "boolean", default: false },
    header: { type: "string", multiple: true, default: [] },
    after: { type: "string" },
    until: { type: "string", default: "call.ended" },
    seconds: { type: "string", default: "30" },
  },
});
const [baseUrl, sessionId] = positionals;
if (baseUrl === undefined || sessionId === undefined || positionals.length > 2) {
  console.error("give the service's URL and the session's id");
  process.exit(2);
}
const headers = Object.fromEntries(
  values.header.map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
  }),
);
const client = new Callplane({ baseUrl, headers });
const signal = AbortSignal.timeout(Number(values.seconds) * 1000);
let call: Call | undefined;

/** told prints an event, and says whether it is the last. */
function told(event: Envelope): boolean {
  if (call !== undefined || event.type === "call.created") call = reduce(call, event);
  console.log(event.eventId);
  return event.type === values.until;
}

async function follow(): Promise<boolean> {
  let after = values.after;
  if (after === undefined) {
    for await (const event of client.events(sessionId as string, { signal, patient: true, limit: 20 })) {
      if (told(event)) return true;
      after = event.eventId;
    }
  }
  const options = { signal, stream: values.own ? "own" : "shared", ...(after === undefined ? {} : { after }) } as const;
  for await (const change of client.watch(sessionId as string, options)) {
    if (change.kind === "snapshot") call = callOf(change.session, call?.timeline);
    else if (told(change.event)) return true;
  }
  return false;
}

try {
  const whole = await follow();
  if (call !== undefined) {
    const { timeline, ...state } = call;
    console.error(JSON.stringify({ ...state, timeline: timeline.length }));
  }
  if (!whole) {
    console.error(`not over after ${values.seconds} s`);
    process.exitCode = 1;
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
