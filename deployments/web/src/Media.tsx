import { LiveKitRoom, RoomAudioRenderer, useConnectionState, useLocalParticipant, useTracks, VideoTrack } from "@livekit/components-react";
import { ConnectionState, Track } from "livekit-client";
import type { Token } from "@callplane/client";
import { useState } from "react";

/** Media is the room as the user's browser has it: who is seen and heard, and the user's own camera and microphone. */
export function Media({ token, video, left }: { readonly token: Token; readonly video: boolean; readonly left: () => void }) {
  const [trouble, setTrouble] = useState("");
  return (
    <LiveKitRoom serverUrl={token.url} token={token.token} connect audio video={video} onDisconnected={left}
      onMediaDeviceFailure={(failure) => setTrouble(`Camera or microphone can't be used: ${failure ?? "unknown"}.`)}
      onError={(error) => setTrouble(error.message)}>
      <Own />
      {trouble === "" ? null : <p role="alert">{trouble}</p>}
      <Faces />
      <RoomAudioRenderer />
    </LiveKitRoom>
  );
}

/** Own is what the user's own connection has to say. */
function Own() {
  const state = useConnectionState();
  if (state === ConnectionState.Connected || state === ConnectionState.Disconnected) return null;
  const text = state === ConnectionState.Connecting ? "Connecting …" : "Your connection is lost. Trying to get back …";
  return <p role="status" className="banner busy">{text}</p>;
}

function Faces() {
  const tracks = useTracks([{ source: Track.Source.Camera, withPlaceholder: true }]);
  const { isMicrophoneEnabled, isCameraEnabled, localParticipant } = useLocalParticipant();
  return (
    <>
      <div className="faces">
        {tracks.map((track) => (
          <figure key={track.participant.identity} data-user={track.participant.name || track.participant.identity}>
            {track.publication === undefined || track.publication.isMuted ? <div className="noface" aria-hidden="true">🔈</div> : <VideoTrack trackRef={track} />}
            <figcaption>{track.participant.name || track.participant.identity}{track.participant.isLocal ? " (you)" : ""}</figcaption>
          </figure>
        ))}
      </div>
      <div className="buttons">
        <button type="button" aria-pressed={!isMicrophoneEnabled} onClick={() => void localParticipant.setMicrophoneEnabled(!isMicrophoneEnabled)}>
          {isMicrophoneEnabled ? "Mute" : "Unmute"}
        </button>
        <button type="button" aria-pressed={!isCameraEnabled} onClick={() => void localParticipant.setCameraEnabled(!isCameraEnabled)}>
          {isCameraEnabled ? "Camera off" : "Camera on"}
        </button>
      </div>
    </>
  );
}
