import { CallplaneError } from "./errors.ts";
import type { Source, Tiding } from "./userstream.ts";

/** What tabs say to each other. A new tab asks whether the stream stands; the one that has it tells what comes. */
type Message =
  | { readonly kind: "hello"; readonly from: string }
  | { readonly kind: "tiding"; readonly by: string; readonly to?: string; readonly tiding: Tiding };

/**
 * acrossTabs has one tab of the browser hold the source and tell the others, so that all of them need one connection. The browser's lock of
 * that name (Web Locks API) says which; when that tab is closed, or follows nothing any more, another gets it. Where a browser has no such
 * locks, every tab has its own.
 */
export function acrossTabs(name: string, source: Source): Source {
  const locks = globalThis.navigator?.locks as LockManager | undefined;
  if (locks === undefined || typeof BroadcastChannel === "undefined") return source;
  return async (tell, signal) => {
    const me = crypto.randomUUID();
    const channel = new BroadcastChannel(name);
    const say = (message: Message): void => channel.postMessage(message);
    let leading = false;
    let standing = false;
    let leader = ""; // whose tidings are heard; those of one that went before may come late
    channel.onmessage = ({ data }: MessageEvent<Message>) => {
      if (data.kind === "hello") {
        if (standing) say({ kind: "tiding", by: me, to: data.from, tiding: { kind: "anew" } });
        return;
      }
      if (leading || (data.to !== undefined && data.to !== me)) return;
      if (data.tiding.kind === "anew" || data.tiding.kind === "failed") leader = data.by;
      if (data.by === leader) tell(received(data.tiding));
    };
    say({ kind: "hello", from: me });
    const lead = async (): Promise<void> => {
      leading = true;
      await source((tiding) => {
        standing = tiding.kind !== "failed";
        say({ kind: "tiding", by: me, tiding: sent(tiding) });
        tell(tiding);
      }, signal);
    };
    try {
      await locks.request(name, { signal }, lead);
    } catch (error) {
      if (!signal.aborted) tell({ kind: "failed", error });
    } finally {
      channel.close();
    }
  };
}

/** sent makes a tiding of what can be sent: of an error only its message would arrive. */
function sent(tiding: Tiding): Tiding {
  if (tiding.kind !== "failed" || !(tiding.error instanceof CallplaneError)) return tiding;
  const { code, message, status, requestId, retryable, errors, earliestEventId, retryAfter } = tiding.error;
  return { kind: "failed", error: { code, message, status, requestId, retryable, errors, earliestEventId, retryAfter } };
}

function received(tiding: Tiding): Tiding {
  if (tiding.kind !== "failed" || tiding.error instanceof Error) return tiding;
  const { code, message, ...rest } = tiding.error as CallplaneError;
  return { kind: "failed", error: new CallplaneError(code, message, rest) };
}
