import type { Call } from "@callplane/client";
import { useCall, useCallplane } from "@callplane/client/react";
import { useState } from "react";
import { addressOf, open } from "./App.tsx";
import { Media } from "./Media.tsx";
import { useStay } from "./stay.ts";
import { Timeline } from "./Timeline.tsx";
import { plain, standing } from "./words.ts";

/** CallView is one call: how it is, who is in it, and what happened. */
export function CallView({ sessionId, userId }: { readonly sessionId: string; readonly userId: string }) {
  const { call, state, error } = useCall(sessionId);
  if (call === undefined) {
    return (
      <main className="narrow">
        <h1>Call</h1>
        {state === "over" ? <p role="alert">{plain(error)}</p> : <p role="status">Looking for the call …</p>}
        <p><a href="#">Back to your calls</a></p>
      </main>
    );
  }
  return (
    <main className="call">
      <div>
        <h1>{call.title ?? (call.kind === "video" ? "Video call" : "Audio call")}</h1>
        <Standing call={call} userId={userId} />
        {state === "over" ? <p role="alert" className="banner bad">{error === undefined ? "You were taken out of this call." : plain(error)}</p> : null}
        {state === "live" && call.endedAt === null ? <Room call={call} userId={userId} /> : <p><a href="#">Back to your calls</a></p>}
        <People call={call} />
      </div>
      <Timeline events={call.timeline} />
    </main>
  );
}

function Standing({ call, userId }: { readonly call: Call; readonly userId: string }) {
  const said = standing(call, userId);
  return <div role="status">{said === undefined ? null : <p className={`banner ${said.kind}`}>{said.text}</p>}</div>;
}

function Room({ call, userId }: { readonly call: Call; readonly userId: string }) {
  const client = useCallplane();
  const stay = useStay(call.sessionId, userId, call.kind === "video");
  const [trouble, setTrouble] = useState("");
  const tried = (work: () => Promise<unknown>) => (): void => {
    setTrouble("");
    work().catch((error: unknown) => setTrouble(plain(error)));
  };
  const host = call.members.some((member) => member.userId === userId && member.role === "host");
  return (
    <section aria-label="Room">
      {stay.standing === "out" ? null : <Media stay={stay} />}
      <div className="buttons">
        {stay.standing === "out"
          ? <button type="button" onClick={stay.join}>Join</button>
          : <button type="button" onClick={stay.leave}>Leave</button>}
        {host ? <button type="button" className="danger" onClick={tried(async () => client.end(call.sessionId))}>End for everybody</button> : null}
        <button type="button" className="quiet" onClick={tried(async () => navigator.clipboard.writeText(addressOf(call.sessionId)))}>Copy link</button>
        <button type="button" className="quiet" onClick={() => open(undefined)}>Back</button>
      </div>
      {host ? <Invite call={call} tried={tried} /> : null}
      {[stay.trouble, trouble].filter((text) => text !== "").map((text) => <p key={text} role="alert">{text}</p>)}
    </section>
  );
}

function Invite({ call, tried }: { readonly call: Call; readonly tried: (work: () => Promise<unknown>) => () => void }) {
  const client = useCallplane();
  const [name, setName] = useState("");
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        tried(async () => {
          await client.setMember(call.sessionId, name.trim(), "participant");
          setName("");
        })();
      }}
    >
      <label>
        Invite
        <input required maxLength={128} pattern="[!-~]+" value={name} onChange={(event) => setName(event.target.value)} autoComplete="off" />
      </label>
      <button type="submit">Invite</button>
    </form>
  );
}

const shown = { present: "here", reconnecting: "reconnecting", left: "gone" } as const;

function People({ call }: { readonly call: Call }) {
  return (
    <section aria-label="People">
      <h2>People</h2>
      <ul className="people">
        {call.members.map(({ userId, role }) => {
          const presences = call.participants.filter((one) => one.userId === userId).map((one) => one.status);
          const best = (["present", "reconnecting", "left"] as const).find((status) => presences.includes(status));
          return (
            <li key={userId} data-user={userId} data-presence={best ?? "away"}>
              <span>{userId}</span> <span className="hint">{role}</span> <span className={`status ${best ?? ""}`}>{best === undefined ? "not yet here" : shown[best]}</span>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
