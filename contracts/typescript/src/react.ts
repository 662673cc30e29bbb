import { createContext, createElement, useContext, useEffect, useState, type FunctionComponentElement, type ProviderProps, type ReactNode } from "react";
import { callOf, reduce, type Call } from "./call.ts";
import type { Callplane } from "./client.ts";
import { isEventOfType } from "./events.ts";
import type { Change } from "./watch.ts";

interface Page {
  readonly client: Callplane;
  readonly userId: string;
}

const Context = createContext<Page | undefined>(undefined);

/** CallplaneProvider gives the hooks below it the client of the page, and who its user is. Both are to stay the same while they do. */
export function CallplaneProvider(
  { client, userId, children }: Page & { readonly children?: ReactNode },
): FunctionComponentElement<ProviderProps<Page | undefined>> {
  const [page, setPage] = useState<Page>({ client, userId });
  if (page.client !== client || page.userId !== userId) setPage({ client, userId });
  return createElement(Context.Provider, { value: page }, children);
}

/** useCallplane returns the page's client. */
export function useCallplane(): Callplane {
  return usePage().client;
}

function usePage(): Page {
  const page = useContext(Context);
  if (page === undefined) throw new Error("put the component inside a CallplaneProvider");
  return page;
}

/** A call as it is followed. */
export interface FollowedCall {
  /** undefined until it has been read. */
  readonly call: Call | undefined;
  /** `over` where it is followed no more: the user may no longer read it, or there is an error. */
  readonly state: "loading" | "live" | "over";
  /** Why it can't be followed; undefined where the user was taken out of it. */
  readonly error: unknown;
}

const loading: FollowedCall = { call: undefined, state: "loading", error: undefined };

/** useCall follows a call while the component is there, with its timeline from the beginning; nothing where there is no id. */
export function useCall(sessionId: string | undefined): FollowedCall {
  const { client } = usePage();
  const [followed, setFollowed] = useState(loading);
  useEffect(() => {
    setFollowed(loading);
    if (sessionId === undefined) return undefined;
    const life = new AbortController();
    const set = (next: (before: FollowedCall) => FollowedCall): void => {
      if (!life.signal.aborted) setFollowed(next);
    };
    void (async () => {
      try {
        for await (const call of client.follow(sessionId, { signal: life.signal })) set(() => ({ call, state: "live", error: undefined }));
        set(({ call }) => ({ call, state: "over", error: undefined }));
      } catch (error) {
        set(({ call }) => ({ call, state: "over", error }));
      }
    })();
    return () => life.abort();
  }, [client, sessionId]);
  return followed;
}

/** The user's calls as they are followed. */
export interface FollowedCalls {
  /** Those that are not over, and those that have come to be over since; the one created last first. */
  readonly calls: readonly Call[];
  /** Why they can't be followed. */
  readonly error: unknown;
}

/** useCalls follows all of the user's calls while the component is there. */
export function useCalls(): FollowedCalls {
  const { client, userId } = usePage();
  const [followed, setFollowed] = useState<FollowedCalls>({ calls: [], error: undefined });
  useEffect(() => {
    const life = new AbortController();
    const calls = new Map<string, Call>();
    void (async () => {
      try {
        for await (const change of client.watchAll({ signal: life.signal })) {
          takeIn(calls, change, userId);
          const sorted = [...calls.values()].sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
          if (!life.signal.aborted) setFollowed({ calls: sorted, error: undefined });
        }
      } catch (error) {
        if (!life.signal.aborted) setFollowed(({ calls: before }) => ({ calls: before, error }));
      }
    })();
    return () => life.abort();
  }, [client, userId]);
  return followed;
}

function takeIn(calls: Map<string, Call>, change: Change, userId: string): void {
  if (change.kind === "snapshot") {
    calls.set(change.session.sessionId, callOf(change.session));
    return;
  }
  const { event } = change;
  const known = calls.get(event.sessionId);
  if (known === undefined) return;
  if (isEventOfType(event, "call.member.removed") && event.payload.userId === userId) calls.delete(event.sessionId);
  else calls.set(event.sessionId, reduce(known, event));
}

/** useIncomingCalls returns the calls that somebody else has made, that are not over, and that the user has not been in. */
export function useIncomingCalls(): readonly Call[] {
  const { userId } = usePage();
  return useCalls().calls.filter((call) =>
    call.endedAt === null && call.ownerId !== userId && !call.participants.some((p) => p.userId === userId));
}
