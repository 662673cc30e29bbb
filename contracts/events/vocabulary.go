package events

import (
	"strings"
	"unicode/utf8"
)

// ProviderLiveKit names LiveKit where a payload says which media provider it speaks of.
const ProviderLiveKit = "livekit"

// Role is what a member may do in a session.
type Role string

// The roles of members.
const (
	RoleHost        Role = "host"
	RoleParticipant Role = "participant"
	RoleViewer      Role = "viewer"
)

// Kind is what a call was made for; fixed at its creation.
type Kind string

// The kinds of calls.
const (
	KindAudio Kind = "audio"
	KindVideo Kind = "video"
)

// Status is a session's state of life.
type Status string

// The states of a session; StatusEnded and StatusFailed are final.
const (
	StatusCreated      Status = "created"
	StatusActive       Status = "active"
	StatusReconnecting Status = "reconnecting"
	StatusEnded        Status = "ended"
	StatusFailed       Status = "failed"
)

// DisconnectReason says how a call's media came to its end.
type DisconnectReason string

// The reasons of call.disconnected.
const (
	DisconnectCompleted        DisconnectReason = "completed"
	DisconnectReconnectTimeout DisconnectReason = "reconnect_timeout"
	DisconnectProviderFailure  DisconnectReason = "provider_failure"
)

// LeaveReason says why a participant left or was lost: LiveKit's DisconnectReason in lower case
// (https://docs.livekit.io/reference/other/events/), with LeaveReconnectTimeout added for those who
// were lost and did not come back in time.
type LeaveReason string

// The reasons of call.participant.left and call.participant.reconnecting.
const (
	LeaveUnknown            LeaveReason = "unknown"
	LeaveClientInitiated    LeaveReason = "client_initiated"
	LeaveDuplicateIdentity  LeaveReason = "duplicate_identity"
	LeaveServerShutdown     LeaveReason = "server_shutdown"
	LeaveParticipantRemoved LeaveReason = "participant_removed"
	LeaveRoomDeleted        LeaveReason = "room_deleted"
	LeaveStateMismatch      LeaveReason = "state_mismatch"
	LeaveJoinFailure        LeaveReason = "join_failure"
	LeaveMigration          LeaveReason = "migration"
	LeaveSignalClose        LeaveReason = "signal_close"
	LeaveRoomClosed         LeaveReason = "room_closed"
	LeaveUserUnavailable    LeaveReason = "user_unavailable"
	LeaveUserRejected       LeaveReason = "user_rejected"
	LeaveSIPTrunkFailure    LeaveReason = "sip_trunk_failure"
	LeaveConnectionTimeout  LeaveReason = "connection_timeout"
	LeaveMediaFailure       LeaveReason = "media_failure"
	LeaveAgentError         LeaveReason = "agent_error"
	LeaveReconnectTimeout   LeaveReason = "reconnect_timeout"
)

// TrackKind is what a track carries.
type TrackKind string

// The kinds of tracks.
const (
	TrackAudio TrackKind = "audio"
	TrackVideo TrackKind = "video"
	TrackData  TrackKind = "data"
)

// TrackSource is where a track's media comes from.
type TrackSource string

// The sources of tracks.
const (
	SourceCamera           TrackSource = "camera"
	SourceMicrophone       TrackSource = "microphone"
	SourceScreenShare      TrackSource = "screen_share"
	SourceScreenShareAudio TrackSource = "screen_share_audio"
	SourceUnknown          TrackSource = "unknown"
)

// Risk is what can go wrong if an action is done.
type Risk string

// The risks of actions.
const (
	RiskLow    Risk = "low"
	RiskMedium Risk = "medium"
	RiskHigh   Risk = "high"
)

// Severity is how bad it is what a safety policy forbids.
type Severity string

// The severities of safety.blocked.
const (
	SeverityLow      Severity = "low"
	SeverityMedium   Severity = "medium"
	SeverityHigh     Severity = "high"
	SeverityCritical Severity = "critical"
)

// SubjectType is what kind of thing a safety decision is about.
type SubjectType string

// The subjects of safety decisions.
const (
	SubjectSession SubjectType = "session"
	SubjectUser    SubjectType = "user"
	SubjectEvent   SubjectType = "event"
	SubjectAction  SubjectType = "action"
	SubjectSegment SubjectType = "segment" // of a transcript
)

// Codes of action.failed for an action that was never attempted.
const (
	CodeDeclined = "declined"
	CodeExpired  = "expired"
	CodeBlocked  = "blocked"
)

// Limits of text in payloads, in Unicode code points; the schemas hold them.
const (
	MaxTitle     = 200
	MaxReason    = 128
	MaxErrorCode = 64
	MaxMessage   = 1024
	MaxTrackName = 256
	MaxMimeType  = 128
	MaxText      = 8192 // of a transcript
	MaxSummary   = 1024
	MaxLabel     = 64
)

// Bounded returns s fit for a payload: valid UTF-8, without NUL, cut to limit code points. It is for
// text that somebody outside chose (a track's name, an error's message) and whose length must not
// stop the event that carries it.
func Bounded(s string, limit int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	return string([]rune(s)[:limit])
}
