import { CallplaneError, type Kind, type Session } from "@callplane/client";
import { useCallplane, useIncomingCalls } from "@callplane/client/react";
import { useEffect, useState } from "react";
import { open } from "./App.tsx";
import { lasted, plain } from "./words.ts";

const recentAtMost = 10;

/** Lobby is where calls are made and come in, and where the last ones are listed. */
export function Lobby({ userId }: { readonly userId: string }) {
  return (
    <main>
      <h1>Your calls</h1>
      <Incoming />
      <NewCall />
      <Recent userId={userId} />
    </main>
  );
}

function Incoming() {
  const calls = useIncomingCalls();
  return (
    <section aria-label="Incoming calls" aria-live="assertive">
      {calls.map((call) => (
        <article key={call.sessionId} className="ringing">
          <p><strong>{call.ownerId}</strong> calls{call.title === null ? "" : `: ${call.title}`} ({call.kind})</p>
          <button type="button" onClick={() => open(call.sessionId)}>Answer</button>
        </article>
      ))}
    </section>
  );
}

function NewCall() {
  const client = useCallplane();
  const [invited, setInvited] = useState("");
  const [trouble, setTrouble] = useState("");
  const [busy, setBusy] = useState(false);
  const create = async (kind: Kind): Promise<void> => {
    setBusy(true);
    setTrouble("");
    const members = invited.split(/[\s,]+/).filter(Boolean).map((one) => ({ userId: one, role: "participant" as const }));
    try {
      open((await client.create({ kind, members })).sessionId);
    } catch (error) {
      setTrouble(plain(error));
      setBusy(false);
    }
  };
  return (
    <section aria-label="New call">
      <h2>New call</h2>
      <form onSubmit={(event) => event.preventDefault()}>
        <label>
          Whom to call (names, or nobody yet)
          <input value={invited} onChange={(event) => setInvited(event.target.value)} autoComplete="off" placeholder="bob, carol" />
        </label>
        <div className="buttons">
          <button type="submit" disabled={busy} onClick={() => void create("video")}>Video call</button>
          <button type="button" disabled={busy} onClick={() => void create("audio")}>Audio call</button>
        </div>
      </form>
      {trouble === "" ? null : <p role="alert">{trouble}</p>}
    </section>
  );
}

function Recent({ userId }: { readonly userId: string }) {
  const client = useCallplane();
  const [sessions, setSessions] = useState<readonly Session[] | undefined>();
  const [trouble, setTrouble] = useState("");
  useEffect(() => {
    const life = new AbortController();
    client.listPage({ pageSize: recentAtMost, signal: life.signal }).then(
      (page) => setSessions(page.items),
      (error: unknown) => !life.signal.aborted && setTrouble(plain(error)),
    );
    return () => life.abort();
  }, [client]);
  return (
    <section aria-label="Last calls">
      <h2>Last calls</h2>
      {trouble === "" ? null : <p role="alert">{trouble}</p>}
      {sessions?.length === 0 ? <p className="hint">None yet.</p> : null}
      <ul className="calls">
        {sessions?.map((session) => (
          <li key={session.sessionId}>
            <a href={`#/call/${session.sessionId}`}>
              <span>{session.title ?? withWhom(session, userId)}</span>
              <span className={`status ${session.status}`}>{session.status}</span>
              <span className="hint">{new Date(session.createdAt).toLocaleString()}{lasted(session)}</span>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

function withWhom(session: Session, userId: string): string {
  const others = session.members.map((member) => member.userId).filter((other) => other !== userId);
  return others.length === 0 ? "Nobody but you" : others.join(", ");
}

/** isGone tells that a call is not, or no longer, the user's. */
export function isGone(error: unknown): boolean {
  return error instanceof CallplaneError && (error.code === "session_not_found" || error.code === "forbidden");
}
