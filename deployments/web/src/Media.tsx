import {
  RoomAudioRenderer, RoomContext, useConnectionQualityIndicator, useConnectionState, useLocalParticipant, useTracks, VideoTrack,
  type TrackReference, type TrackReferenceOrPlaceholder,
} from "@livekit/components-react";
import { ConnectionQuality, ConnectionState, Track } from "livekit-client";
import { useEffect, useState } from "react";
import type { Standing, Stay } from "./stay.ts";

/** Media is the room as the user's browser has it: who is seen and heard, and the user's own camera and microphone. */
export function Media({ stay }: { readonly stay: Stay }) {
  return (
    <RoomContext.Provider value={stay.room}>
      <Own standing={stay.standing} />
      <Faces send={stay.send} />
      <RoomAudioRenderer />
    </RoomContext.Provider>
  );
}

/** Own is what the user's own connection has to say. */
function Own({ standing }: { readonly standing: Standing }) {
  const state = useConnectionState();
  if (standing === "in" && state === ConnectionState.Connected) return null;
  const text = standing === "joining" ? "Connecting …" : "Your connection is lost. Trying to get back …";
  return <p role="status" className="banner busy">{text}</p>;
}

/** Face is one in the room, as far as the user's browser gets a picture of them. */
function Face({ track }: { readonly track: TrackReferenceOrPlaceholder }) {
  const { participant, publication } = track;
  const { quality } = useConnectionQualityIndicator({ participant });
  const [still, video] = useStandstill();
  const shown = publication !== undefined && !publication.isMuted;
  const away = !participant.isLocal && ((shown && still) || quality === ConnectionQuality.Lost);
  const name = participant.name || participant.identity;
  return (
    <figure data-user={name} data-away={away}>
      {shown ? <VideoTrack trackRef={track as TrackReference} ref={video} /> : <div className="noface" aria-hidden="true">🔈</div>}
      <figcaption>{name}{participant.isLocal ? " (you)" : ""}<span role="status">{away ? " – nothing comes through" : ""}</span></figcaption>
    </figure>
  );
}

const standstill = 2000; // milliseconds without a new picture, when cameras send 15 a second and more

/** useStandstill tells whether a video has stood still for a while. A page that is not seen gets no pictures, which says nothing. */
function useStandstill(): [boolean, (video: HTMLVideoElement | null) => void] {
  const [video, setVideo] = useState<HTMLVideoElement | null>(null);
  const [still, setStill] = useState(false);
  useEffect(() => {
    if (video === null) return undefined;
    let last = performance.now();
    const moved = (): void => {
      last = performance.now();
      pending = video.requestVideoFrameCallback(moved);
    };
    let pending = video.requestVideoFrameCallback(moved);
    const look = setInterval(() => {
      if (document.hidden) last = performance.now();
      setStill(performance.now() - last > standstill);
    }, standstill / 4);
    return () => {
      clearInterval(look);
      video.cancelVideoFrameCallback(pending);
      setStill(false);
    };
  }, [video]);
  return [still, setVideo];
}

function Faces({ send }: { readonly send: Stay["send"] }) {
  const tracks = useTracks([{ source: Track.Source.Camera, withPlaceholder: true }]);
  const { isMicrophoneEnabled, isCameraEnabled } = useLocalParticipant();
  return (
    <>
      <div className="faces">
        {tracks.map((track) => (
          <Face key={track.participant.identity} track={track} />
        ))}
      </div>
      <div className="buttons">
        <button type="button" aria-pressed={!isMicrophoneEnabled} onClick={() => send({ audio: !isMicrophoneEnabled })}>
          {isMicrophoneEnabled ? "Mute" : "Unmute"}
        </button>
        <button type="button" aria-pressed={!isCameraEnabled} onClick={() => send({ video: !isCameraEnabled })}>
          {isCameraEnabled ? "Camera off" : "Camera on"}
        </button>
      </div>
    </>
  );
}
