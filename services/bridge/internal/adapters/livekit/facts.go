package livekit

import (
	"regexp"
	"time"

	lkproto "github.com/livekit/protocol/livekit"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

func roomStarted(e *lkproto.WebhookEvent) domain.Fact {
	return domain.RoomStarted{Observation: observation(e)}
}

func roomFinished(e *lkproto.WebhookEvent) domain.Fact {
	return domain.RoomFinished{Observation: observation(e)}
}

func participantJoined(e *lkproto.WebhookEvent) domain.Fact {
	return domain.ParticipantJoined{Observation: observation(e), Connection: connection(e.GetParticipant())}
}

func participantLeft(e *lkproto.WebhookEvent) domain.Fact { return left(e, false) }

func connectionAborted(e *lkproto.WebhookEvent) domain.Fact { return left(e, true) }

func left(e *lkproto.WebhookEvent, aborted bool) domain.Fact {
	reason, known := leaveReasons[e.GetParticipant().GetDisconnectReason()]
	if !known {
		reason = events.LeaveUnknown
	}
	return domain.ParticipantLeft{
		Observation: observation(e), Connection: connection(e.GetParticipant()), Reason: reason, Aborted: aborted,
	}
}

func trackPublished(e *lkproto.WebhookEvent) domain.Fact {
	return domain.TrackPublished{Observation: observation(e), Connection: connection(e.GetParticipant()), Track: track(e.GetTrack())}
}

func trackUnpublished(e *lkproto.WebhookEvent) domain.Fact {
	return domain.TrackUnpublished{Observation: observation(e), Connection: connection(e.GetParticipant()), Track: track(e.GetTrack())}
}

// observation reads room and time. Times inside the room are finer than the webhook's own, which is
// in whole seconds.
func observation(e *lkproto.WebhookEvent) domain.Observation {
	return domain.Observation{Room: roomRef(e.GetRoom()), At: firstInstant(time.Unix(e.GetCreatedAt(), 0))}
}

func roomRef(room *lkproto.Room) domain.RoomRef {
	return domain.RoomRef{
		Name: room.GetName(), SID: sid(room.GetSid()),
		CreatedAt: firstInstant(time.UnixMilli(room.GetCreationTimeMs()), time.Unix(room.GetCreationTime(), 0)),
	}
}

func connection(p *lkproto.ParticipantInfo) domain.Connection {
	return domain.Connection{
		Identity: p.GetIdentity(), SID: sid(p.GetSid()),
		JoinedAt: firstInstant(time.UnixMilli(p.GetJoinedAtMs()), time.Unix(p.GetJoinedAt(), 0)),
	}
}

func track(t *lkproto.TrackInfo) domain.Track {
	kind, known := trackKinds[t.GetType()]
	if !known {
		kind = events.TrackData
	}
	source, known := trackSources[t.GetSource()]
	if !known {
		source = events.SourceUnknown
	}
	return domain.Track{
		SID: sid(t.GetSid()), Kind: kind, Source: source,
		Name:        events.Bounded(t.GetName(), events.MaxTrackName),
		MimeType:    events.Bounded(t.GetMimeType(), events.MaxMimeType),
		PublishedAt: firstInstant(time.UnixMicro(t.GetVersion().GetUnixMicro())),
	}
}

var sidForm = regexp.MustCompile(`^[!-~]{1,256}$`)

// sid returns s where it can stand for something, and "" otherwise.
func sid(s string) string {
	if !sidForm.MatchString(s) {
		return ""
	}
	return s
}

// Times before this were never set, and times after it were not meant as times.
var (
	earliest = time.Unix(1, 0)
	latest   = time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
)

// firstInstant returns the first of the times that was set, the zero time where none was.
func firstInstant(times ...time.Time) time.Time {
	for _, t := range times {
		if !t.Before(earliest) && t.Before(latest) {
			return t.UTC()
		}
	}
	return time.Time{}
}

var leaveReasons = map[lkproto.DisconnectReason]events.LeaveReason{
	lkproto.DisconnectReason_UNKNOWN_REASON:      events.LeaveUnknown,
	lkproto.DisconnectReason_CLIENT_INITIATED:    events.LeaveClientInitiated,
	lkproto.DisconnectReason_DUPLICATE_IDENTITY:  events.LeaveDuplicateIdentity,
	lkproto.DisconnectReason_SERVER_SHUTDOWN:     events.LeaveServerShutdown,
	lkproto.DisconnectReason_PARTICIPANT_REMOVED: events.LeaveParticipantRemoved,
	lkproto.DisconnectReason_ROOM_DELETED:        events.LeaveRoomDeleted,
	lkproto.DisconnectReason_STATE_MISMATCH:      events.LeaveStateMismatch,
	lkproto.DisconnectReason_JOIN_FAILURE:        events.LeaveJoinFailure,
	lkproto.DisconnectReason_MIGRATION:           events.LeaveMigration,
	lkproto.DisconnectReason_SIGNAL_CLOSE:        events.LeaveSignalClose,
	lkproto.DisconnectReason_ROOM_CLOSED:         events.LeaveRoomClosed,
	lkproto.DisconnectReason_USER_UNAVAILABLE:    events.LeaveUserUnavailable,
	lkproto.DisconnectReason_USER_REJECTED:       events.LeaveUserRejected,
	lkproto.DisconnectReason_SIP_TRUNK_FAILURE:   events.LeaveSIPTrunkFailure,
	lkproto.DisconnectReason_CONNECTION_TIMEOUT:  events.LeaveConnectionTimeout,
	lkproto.DisconnectReason_MEDIA_FAILURE:       events.LeaveMediaFailure,
	lkproto.DisconnectReason_AGENT_ERROR:         events.LeaveAgentError,
}

var trackKinds = map[lkproto.TrackType]events.TrackKind{
	lkproto.TrackType_AUDIO: events.TrackAudio,
	lkproto.TrackType_VIDEO: events.TrackVideo,
	lkproto.TrackType_DATA:  events.TrackData,
}

var trackSources = map[lkproto.TrackSource]events.TrackSource{
	lkproto.TrackSource_UNKNOWN:            events.SourceUnknown,
	lkproto.TrackSource_CAMERA:             events.SourceCamera,
	lkproto.TrackSource_MICROPHONE:         events.SourceMicrophone,
	lkproto.TrackSource_SCREEN_SHARE:       events.SourceScreenShare,
	lkproto.TrackSource_SCREEN_SHARE_AUDIO: events.SourceScreenShareAudio,
}
