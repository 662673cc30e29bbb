package postgres

import (
	"cmp"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// sids is a list of sids, stored as an array in JSON.
type sids []string

// Value implements driver.Valuer. No sids are an empty array.
func (s sids) Value() (driver.Value, error) {
	if len(s) == 0 {
		return "[]", nil
	}
	encoded, err := json.Marshal([]string(s))
	if err != nil {
		return nil, fmt.Errorf("encoding sids: %w", err)
	}
	return string(encoded), nil
}

// list is as the domain has it.
func (s sids) list() []string {
	if len(s) == 0 {
		return nil
	}
	return s
}

// mappingRow is a row of mappings. Null stands for a zero time, an empty sid or no evidence of the
// domain.
type mappingRow struct {
	SessionID        string     `gorm:"column:session_id;primaryKey" json:"session_id"`
	RoomName         string     `gorm:"column:room_name" json:"room_name"`
	SessionVersion   int64      `gorm:"column:session_version" json:"session_version"`
	Final            bool       `gorm:"column:final" json:"final"`
	Revision         int64      `gorm:"column:revision" json:"revision"`
	Episode          int        `gorm:"column:episode" json:"episode"`
	RoomPhase        string     `gorm:"column:room_phase" json:"room_phase"`
	RoomSID          *string    `gorm:"column:room_sid" json:"room_sid"`
	FirstRoomSID     *string    `gorm:"column:first_room_sid" json:"first_room_sid"`
	RoomCreatedAt    *time.Time `gorm:"column:room_created_at" json:"room_created_at"`
	ConnectingAt     *time.Time `gorm:"column:connecting_at" json:"connecting_at"`
	ConnectedAt      *time.Time `gorm:"column:connected_at" json:"connected_at"`
	DisconnectedAt   *time.Time `gorm:"column:disconnected_at" json:"disconnected_at"`
	LastLeftAt       *time.Time `gorm:"column:last_left_at" json:"last_left_at"`
	LastLeftLost     bool       `gorm:"column:last_left_lost" json:"last_left_lost"`
	Vanished         bool       `gorm:"column:last_left_vanished" json:"last_left_vanished"`
	Interrupted      bool       `gorm:"column:interrupted" json:"interrupted"`
	RoomEvidence     *string    `gorm:"column:room_evidence" json:"room_evidence"`
	RoomFinishedAt   *time.Time `gorm:"column:room_finished_at" json:"room_finished_at"`
	FinishedRoomSIDs sids       `gorm:"column:finished_room_sids;type:jsonb" json:"finished_room_sids"`
	LookAt           *time.Time `gorm:"column:look_at" json:"look_at"`
	UnattendedSince  *time.Time `gorm:"column:unattended_since" json:"unattended_since"`
	UpdatedAt        time.Time  `gorm:"column:updated_at;autoUpdateTime:false" json:"updated_at"`
}

// TableName is gorm's.
func (mappingRow) TableName() string { return "mappings" }

type memberRow struct {
	SessionID string `gorm:"column:session_id;primaryKey" json:"-"`
	UserID    string `gorm:"column:user_id;primaryKey" json:"user_id"`
	Role      string `gorm:"column:role" json:"role"`
	Version   int64  `gorm:"column:version" json:"version"`
	Removed   bool   `gorm:"column:removed" json:"removed"`
}

// TableName is gorm's.
func (memberRow) TableName() string { return "members" }

type participantRow struct {
	SessionID      string     `gorm:"column:session_id;primaryKey" json:"-"`
	Identity       string     `gorm:"column:identity;primaryKey" json:"identity"`
	UserID         string     `gorm:"column:user_id" json:"user_id"`
	DeviceID       string     `gorm:"column:device_id" json:"device_id"`
	Presence       string     `gorm:"column:presence" json:"presence"`
	ParticipantSID *string    `gorm:"column:participant_sid" json:"participant_sid"`
	JoinedAt       *time.Time `gorm:"column:joined_at" json:"joined_at"`
	Episode        int        `gorm:"column:episode" json:"episode"`
	StaleToken     bool       `gorm:"column:outdated" json:"outdated"`
	Evidence       *string    `gorm:"column:evidence" json:"evidence"`
	EndedSIDs      sids       `gorm:"column:ended_sids;type:jsonb" json:"ended_sids"`
	Unanswered     bool       `gorm:"column:unanswered" json:"unanswered"`
	GraceReason    *string    `gorm:"column:window_reason" json:"window_reason"`
	GraceLeave     *string    `gorm:"column:window_parting" json:"window_parting"`
	GraceTold      bool       `gorm:"column:window_told" json:"window_told"`
	GraceSince     *time.Time `gorm:"column:window_since" json:"window_since"`
	GraceDeadline  *time.Time `gorm:"column:window_deadline" json:"window_deadline"`
	GraceDeniedAt  *time.Time `gorm:"column:grace_denied_at" json:"grace_denied_at"`
}

// TableName is gorm's.
func (participantRow) TableName() string { return "participants" }

type trackRow struct {
	SessionID   string    `gorm:"column:session_id;primaryKey" json:"-"`
	Identity    string    `gorm:"column:identity;primaryKey" json:"identity"`
	TrackSID    string    `gorm:"column:track_sid;primaryKey" json:"track_sid"`
	Kind        string    `gorm:"column:kind" json:"kind"`
	Source      string    `gorm:"column:source" json:"source"`
	Name        string    `gorm:"column:name" json:"name"`
	MimeType    string    `gorm:"column:mime_type" json:"mime_type"`
	PublishedAt time.Time `gorm:"column:published_at" json:"published_at"`
	Open        bool      `gorm:"column:open" json:"open"`
	Awaits      *string   `gorm:"column:awaits" json:"awaits"`
	Evidence    string    `gorm:"column:evidence" json:"evidence"`
	Episode     int       `gorm:"column:episode" json:"episode"`
}

// TableName is gorm's.
func (trackRow) TableName() string { return "tracks" }

func toMappingRow(s domain.State) mappingRow {
	return mappingRow{
		SessionID: s.SessionID, RoomName: s.RoomName, SessionVersion: s.SessionVersion, Final: s.Final,
		Revision: s.Revision, Episode: s.Episode,
		RoomPhase: string(s.Room.Phase), RoomEvidence: orNull(string(s.Room.Evidence)),
		RoomSID: orNull(s.Room.SID), FirstRoomSID: orNull(s.Room.FirstSID), RoomCreatedAt: orNull(s.Room.CreatedAt),
		RoomFinishedAt: orNull(s.Room.FinishedAt), FinishedRoomSIDs: s.Room.Finished,
		ConnectingAt: orNull(s.ConnectingAt), ConnectedAt: orNull(s.ConnectedAt), DisconnectedAt: orNull(s.DisconnectedAt),
		LastLeftAt: orNull(s.LastLeftAt), LastLeftLost: s.LastLeft == domain.Lost, Vanished: s.LastLeft == domain.Vanished,
		Interrupted: s.Interrupted, LookAt: orNull(s.LookAt), UnattendedSince: orNull(s.UnattendedSince),
	}
}

// state has no members and participants yet.
func (r mappingRow) state() domain.State {
	return domain.State{
		SessionID: r.SessionID, RoomName: r.RoomName, SessionVersion: r.SessionVersion, Final: r.Final,
		Revision: r.Revision, Episode: r.Episode,
		Room: domain.Room{
			Phase: domain.RoomPhase(r.RoomPhase), Evidence: r.roomEvidence(), SID: orZero(r.RoomSID), FirstSID: orZero(r.FirstRoomSID),
			CreatedAt: utc(r.RoomCreatedAt), FinishedAt: utc(r.RoomFinishedAt), Finished: r.FinishedRoomSIDs.list(),
		},
		ConnectingAt: utc(r.ConnectingAt), ConnectedAt: utc(r.ConnectedAt), DisconnectedAt: utc(r.DisconnectedAt),
		LastLeftAt: utc(r.LastLeftAt), LastLeft: r.lastLeft(), Interrupted: r.Interrupted,
		LookAt: utc(r.LookAt), UnattendedSince: utc(r.UnattendedSince),
		Members: map[string]domain.Member{}, Participants: map[string]domain.Participant{},
	}
}

// roomEvidence is how the room's phase is known. The version before this one writes the phase
// alone, and may leave the evidence of an earlier phase beside it: a finish was told only where its
// sid is noted, and what else may be a guess is read as one, since later evidence undoes it.
func (r mappingRow) roomEvidence() domain.Evidence {
	how := domain.Evidence(orZero(r.RoomEvidence))
	switch domain.RoomPhase(r.RoomPhase) {
	case domain.PhaseUnseen:
		return ""
	case domain.PhaseFinished:
		if how == domain.Told && slices.Contains(r.FinishedRoomSIDs, orZero(r.RoomSID)) {
			return domain.Told
		}
		return domain.Inferred
	case domain.PhaseOpen:
		if how == domain.Seen {
			return domain.Seen
		}
	}
	return domain.Told
}

func (r mappingRow) lastLeft() domain.LeaveKind {
	switch {
	case r.LastLeftAt == nil:
		return ""
	case r.Vanished:
		return domain.Vanished
	case r.LastLeftLost:
		return domain.Lost
	default:
		return domain.InOrder
	}
}

func toMemberRow(sessionID string, m domain.Member) memberRow {
	return memberRow{SessionID: sessionID, UserID: m.UserID, Role: string(m.Role), Version: m.Version, Removed: m.Removed}
}

func (r memberRow) member() domain.Member {
	return domain.Member{UserID: r.UserID, Role: events.Role(r.Role), Version: r.Version, Removed: r.Removed}
}

func toParticipantRow(sessionID string, p domain.Participant) participantRow {
	return participantRow{
		SessionID: sessionID, Identity: p.Identity, UserID: p.UserID, DeviceID: p.DeviceID, Presence: string(p.Presence),
		ParticipantSID: orNull(p.SID), JoinedAt: orNull(p.JoinedAt), Episode: p.Episode, StaleToken: p.StaleToken,
		Evidence: orNull(string(p.Evidence)), EndedSIDs: p.Ended, Unanswered: p.Unanswered,
		GraceReason: orNull(string(p.Grace.Reason)), GraceLeave: orNull(string(p.Grace.Leave)), GraceTold: p.Grace.Evidence == domain.Told,
		GraceSince: orNull(p.Grace.Since), GraceDeadline: orNull(p.Grace.Deadline), GraceDeniedAt: orNull(p.Grace.DeniedAt),
	}
}

func (r participantRow) participant() domain.Participant {
	return domain.Participant{
		Identity: r.Identity, UserID: r.UserID, DeviceID: r.DeviceID, Presence: domain.Presence(r.Presence),
		SID: orZero(r.ParticipantSID), JoinedAt: utc(r.JoinedAt), Evidence: r.evidence(), Ended: r.EndedSIDs.list(), Unanswered: r.unanswered(),
		Episode: r.Episode, StaleToken: r.StaleToken, Grace: r.grace(),
	}
}

// evidence is how the connection came to be known, which the version before this one doesn't write.
func (r participantRow) evidence() domain.Evidence {
	if r.ParticipantSID == nil {
		return ""
	}
	return cmp.Or(domain.Evidence(orZero(r.Evidence)), domain.Told)
}

// unanswered counts only while the connection is taken for ended: the version before this one
// leaves it as it is when another connection comes.
func (r participantRow) unanswered() bool {
	presence := domain.Presence(r.Presence)
	return r.Unanswered && (presence == domain.Absent || presence == domain.Reconnecting)
}

// grace is the grace period that the participant's presence allows: older versions write the
// presence alone, or leave the denial of an earlier grace period. That a connection was replaced is
// always told.
func (r participantRow) grace() domain.GracePeriod {
	presence := domain.Presence(r.Presence)
	told := r.GraceTold || presence == domain.Replaced
	switch {
	case presence != domain.Replaced && presence != domain.Reconnecting:
		return domain.GracePeriod{}
	case r.GraceDeadline == nil:
		joined := utc(r.JoinedAt)
		return domain.GracePeriod{
			Reason: events.LeaveUnknown, Leave: domain.InOrder, Evidence: endEvidence(told), Since: joined, Deadline: joined,
		}
	default:
		return domain.GracePeriod{
			Reason: events.LeaveReason(orZero(r.GraceReason)), Leave: domain.LeaveKind(orZero(r.GraceLeave)), Evidence: endEvidence(told),
			Since: utc(r.GraceSince), Deadline: utc(r.GraceDeadline), DeniedAt: utc(r.GraceDeniedAt),
		}
	}
}

// endEvidence is how the end of a connection is known.
func endEvidence(told bool) domain.Evidence {
	if told {
		return domain.Told
	}
	return domain.Inferred
}

func toTrackRow(sessionID, identity string, t domain.Track) trackRow {
	return trackRow{
		SessionID: sessionID, Identity: identity, TrackSID: t.SID, Kind: string(t.Kind), Source: string(t.Source),
		Name: t.Name, MimeType: t.MimeType, PublishedAt: t.PublishedAt, Open: t.Open, Awaits: orNull(t.Awaits),
		Evidence: string(t.Evidence), Episode: t.Episode,
	}
}

func (r trackRow) track() domain.Track {
	return domain.Track{
		SID: r.TrackSID, Kind: events.TrackKind(r.Kind), Source: events.TrackSource(r.Source),
		Name: r.Name, MimeType: r.MimeType, PublishedAt: r.PublishedAt.UTC(), Open: r.Open, Awaits: orZero(r.Awaits),
		Evidence: r.evidence(), Episode: r.Episode,
	}
}

// evidence is how it is known that the track is open, or closed. The version before this one closes
// a track and leaves how it was known to be open; that it is closed may be a guess then.
func (r trackRow) evidence() domain.Evidence {
	how := domain.Evidence(r.Evidence)
	if how == domain.Seen && !r.Open {
		return domain.Inferred
	}
	return how
}

func orNull[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

func orZero[T any](v *T) T {
	if v == nil {
		var zero T
		return zero
	}
	return *v
}

func utc(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// asStored is a state as it is read again: times have microseconds.
func asStored(s domain.State) domain.State {
	stored := toMappingRow(s).state()
	for _, at := range []*time.Time{
		&stored.Room.CreatedAt, &stored.Room.FinishedAt, &stored.ConnectingAt, &stored.ConnectedAt, &stored.DisconnectedAt,
		&stored.LastLeftAt, &stored.LookAt, &stored.UnattendedSince,
	} {
		*at = at.Truncate(time.Microsecond)
	}
	for id, m := range s.Members {
		stored.Members[id] = toMemberRow(s.SessionID, m).member()
	}
	for identity, p := range s.Participants {
		kept := toParticipantRow(s.SessionID, p).participant()
		for _, at := range []*time.Time{&kept.JoinedAt, &kept.Grace.Since, &kept.Grace.Deadline, &kept.Grace.DeniedAt} {
			*at = at.Truncate(time.Microsecond)
		}
		for sid, track := range p.Tracks {
			if kept.Tracks == nil {
				kept.Tracks = map[string]domain.Track{}
			}
			track = toTrackRow(s.SessionID, identity, track).track()
			track.PublishedAt = track.PublishedAt.Truncate(time.Microsecond)
			kept.Tracks[sid] = track
		}
		stored.Participants[identity] = kept
	}
	return stored
}
