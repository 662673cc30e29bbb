import { Callplane } from "@callplane/client";
import { CallplaneProvider } from "@callplane/client/react";
import { useMemo, useState, useSyncExternalStore } from "react";
import { CallView } from "./CallView.tsx";
import { Lobby } from "./Lobby.tsx";
import { Login } from "./Login.tsx";

/** App is the page: who the user is, and which call is open, as the address says. */
export function App({ apiUrl }: { readonly apiUrl: string }) {
  const [userId, setUserId] = useState(() => sessionStorage.getItem("user") ?? "");
  const client = useMemo(
    () => (userId === "" ? undefined : new Callplane({ baseUrl: apiUrl, headers: { "X-User-Id": userId }, tabs: userId })),
    [apiUrl, userId],
  );
  const sessionId = useOpenCall();
  const login = (name: string): void => {
    if (name === "") sessionStorage.removeItem("user");
    else sessionStorage.setItem("user", name);
    setUserId(name);
  };
  if (client === undefined) return <Login enter={login} />;
  return (
    <CallplaneProvider client={client} userId={userId}>
      <header>
        <a href="#" className="brand">Callplane</a>
        <span>
          {userId} <button type="button" className="quiet" onClick={() => login("")}>Be somebody else</button>
        </span>
      </header>
      {sessionId === undefined ? <Lobby userId={userId} /> : <CallView key={sessionId} sessionId={sessionId} userId={userId} />}
    </CallplaneProvider>
  );
}

/** addressOf is the address of a call's page, to be given to others. */
export function addressOf(sessionId: string): string {
  return `${location.origin}${location.pathname}#/call/${sessionId}`;
}

/** open goes to a call's page, or back to the list. */
export function open(sessionId: string | undefined): void {
  location.hash = sessionId === undefined ? "" : `/call/${sessionId}`;
}

function useOpenCall(): string | undefined {
  return useSyncExternalStore(
    (changed) => {
      addEventListener("hashchange", changed);
      return () => removeEventListener("hashchange", changed);
    },
    () => /^#\/call\/([0-9a-f-]{36})$/.exec(location.hash)?.[1],
  );
}
