import type { Envelope } from "@callplane/client";
import { useEffect, useState } from "react";
import { ago, sentence } from "./words.ts";

/** Timeline shows a call's events, the newest first. */
export function Timeline({ events }: { readonly events: readonly Envelope[] }) {
  const now = useNow();
  return (
    <section aria-label="Timeline">
      <h2>What happened</h2>
      <div role="log" aria-relevant="additions">
        <ol className="timeline">
          {events.toReversed().map((event) => (
            <li key={event.eventId} data-event={event.eventId} data-type={event.type}>
              <span>{sentence(event)}</span>
              <code>{event.type}</code>
              <time dateTime={event.timestamp}>{ago(Date.parse(event.timestamp), now)}</time>
            </li>
          ))}
        </ol>
      </div>
    </section>
  );
}

/** useNow is the time, as often as it shows. */
function useNow(): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const ticking = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(ticking);
  }, []);
  return now;
}
