import { CallplaneError } from "@callplane/client";
import { useCallplane } from "@callplane/client/react";
import { DisconnectReason, Room, RoomEvent } from "livekit-client";
import pRetry from "p-retry";
import { useCallback, useEffect, useRef, useState } from "react";
import { plain } from "./words.ts";

/** How the user is to a call's room: outside, on the way in, inside, or on the way back in after the connection was lost. */
export type Standing = "out" | "joining" | "in" | "returning";

/** What the user wants to send, which outlives a lost connection. */
export interface Wishes {
  audio: boolean;
  video: boolean;
}

/** Stay is the user's stay in a call's room. */
export interface Stay {
  readonly room: Room;
  readonly standing: Standing;
  /** What could not be done, in plain words. */
  readonly trouble: string;
  readonly join: () => void;
  readonly leave: () => void;
  /** Sends, or no longer sends, the user's voice and picture. */
  readonly send: (wishes: Partial<Wishes>) => void;
}

const pause = { minTimeout: 500, maxTimeout: 10_000, factor: 2, randomize: true } as const;

// After these nobody comes back unasked: what put the user out was meant to.
const meant = new Map<DisconnectReason | undefined, string>([
  [DisconnectReason.CLIENT_INITIATED, ""],
  [DisconnectReason.DUPLICATE_IDENTITY, "You joined from elsewhere."],
  [DisconnectReason.PARTICIPANT_REMOVED, "You were taken out of this call."],
  [DisconnectReason.ROOM_DELETED, "The call was ended."],
]);

/**
 * useStay takes the user into a call's room and keeps them there. LiveKit's client gets over short cuts by itself; after a long one LiveKit has
 * given the user up, and they join anew, with a new token and as the same person, for as long as it takes.
 */
export function useStay(sessionId: string, name: string, video: boolean): Stay {
  const client = useCallplane();
  const [room] = useState(() => new Room());
  const [standing, setStanding] = useState<Standing>("out");
  const [trouble, setTrouble] = useState("");
  const wishes = useRef<Wishes>({ audio: true, video });
  const present = standing !== "out";

  const follow = useCallback(async (): Promise<void> => {
    const { localParticipant } = room;
    const failures: string[] = [];
    const failed = (device: string) => (error: unknown): void => { failures.push(`The ${device} can't be used: ${plain(error)}`); };
    // Who has only one of them is in the call with that.
    await localParticipant.setMicrophoneEnabled(wishes.current.audio).catch(failed("microphone"));
    await localParticipant.setCameraEnabled(wishes.current.video).catch(failed("camera"));
    if (failures.length > 0) setTrouble(failures.join(" "));
  }, [room]);

  useEffect(() => {
    if (!present) return undefined;
    const stop = new AbortController();
    let entering = false; // A try to connect that fails is told as a lost connection, too.
    const enter = async (): Promise<void> => {
      entering = true;
      await pRetry(async () => {
        const { url, token } = await client.token(sessionId, { displayName: name }, { signal: stop.signal });
        await room.connect(url, token);
      }, {
        ...pause, retries: Infinity, signal: stop.signal,
        shouldRetry: ({ error }) => !stop.signal.aborted && !(error instanceof CallplaneError && !error.retryable),
      });
      entering = false;
      setStanding("in");
      await follow();
    };
    const begin = (): void => {
      enter().catch((error: unknown) => {
        if (stop.signal.aborted) return;
        setTrouble(plain(error));
        setStanding("out");
      });
    };
    const lost = (reason?: DisconnectReason): void => {
      if (entering) return;
      const said = meant.get(reason);
      if (said === undefined) {
        setStanding("returning");
        begin();
      } else {
        setTrouble(said);
        setStanding("out");
      }
    };
    room.on(RoomEvent.Disconnected, lost);
    begin();
    return () => {
      stop.abort();
      room.off(RoomEvent.Disconnected, lost);
      void room.disconnect();
    };
  }, [client, sessionId, name, room, present, follow]);

  return {
    room, standing, trouble,
    join: useCallback(() => {
      setTrouble("");
      setStanding("joining");
    }, []),
    leave: useCallback(() => setStanding("out"), []),
    send: useCallback((changed) => {
      Object.assign(wishes.current, changed);
      void follow();
    }, [follow]),
  };
}
