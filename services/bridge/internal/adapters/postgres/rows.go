package postgres

import (
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// mappingRow is a row of mappings. Null stands for what the domain has as a zero time or an empty sid.
type mappingRow struct {
	SessionID      string     `gorm:"column:session_id;primaryKey" json:"session_id"`
	RoomName       string     `gorm:"column:room_name" json:"room_name"`
	SessionVersion int64      `gorm:"column:session_version" json:"session_version"`
	Final          bool       `gorm:"column:final" json:"final"`
	Revision       int64      `gorm:"column:revision" json:"revision"`
	Episode        int        `gorm:"column:episode" json:"episode"`
	RoomPhase      string     `gorm:"column:room_phase" json:"room_phase"`
	RoomSID        *string    `gorm:"column:room_sid" json:"room_sid"`
	FirstRoomSID   *string    `gorm:"column:first_room_sid" json:"first_room_sid"`
	RoomCreatedAt  *time.Time `gorm:"column:room_created_at" json:"room_created_at"`
	ConnectingAt   *time.Time `gorm:"column:connecting_at" json:"connecting_at"`
	ConnectedAt    *time.Time `gorm:"column:connected_at" json:"connected_at"`
	DisconnectedAt *time.Time `gorm:"column:disconnected_at" json:"disconnected_at"`
	LastLeftAt     *time.Time `gorm:"column:last_left_at" json:"last_left_at"`
	LastLeftLost   bool       `gorm:"column:last_left_lost" json:"last_left_lost"`
	Vanished       bool       `gorm:"column:last_left_vanished" json:"last_left_vanished"`
	Interrupted    bool       `gorm:"column:interrupted" json:"interrupted"`
	UpdatedAt      time.Time  `gorm:"column:updated_at;autoUpdateTime:false" json:"updated_at"`
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
	Outdated       bool       `gorm:"column:outdated" json:"outdated"`
	WindowReason   *string    `gorm:"column:window_reason" json:"window_reason"`
	WindowParting  *string    `gorm:"column:window_parting" json:"window_parting"`
	WindowTold     bool       `gorm:"column:window_told" json:"window_told"`
	WindowSince    *time.Time `gorm:"column:window_since" json:"window_since"`
	WindowDeadline *time.Time `gorm:"column:window_deadline" json:"window_deadline"`
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
}

// TableName is gorm's.
func (trackRow) TableName() string { return "tracks" }

func toMappingRow(s domain.State) mappingRow {
	return mappingRow{
		SessionID: s.SessionID, RoomName: s.RoomName, SessionVersion: s.SessionVersion, Final: s.Final,
		Revision: s.Revision, Episode: s.Episode,
		RoomPhase: string(s.Room.Phase), RoomSID: orNull(s.Room.SID), FirstRoomSID: orNull(s.Room.FirstSID), RoomCreatedAt: orNull(s.Room.CreatedAt),
		ConnectingAt: orNull(s.ConnectingAt), ConnectedAt: orNull(s.ConnectedAt), DisconnectedAt: orNull(s.DisconnectedAt),
		LastLeftAt: orNull(s.LastLeftAt), LastLeftLost: s.LastLeft == domain.Lost, Vanished: s.LastLeft == domain.Vanished,
		Interrupted: s.Interrupted,
	}
}

// state has no members and participants yet.
func (r mappingRow) state() domain.State {
	return domain.State{
		SessionID: r.SessionID, RoomName: r.RoomName, SessionVersion: r.SessionVersion, Final: r.Final,
		Revision: r.Revision, Episode: r.Episode,
		Room: domain.Room{
			Phase: domain.RoomPhase(r.RoomPhase), SID: orZero(r.RoomSID), FirstSID: orZero(r.FirstRoomSID), CreatedAt: utc(r.RoomCreatedAt),
		},
		ConnectingAt: utc(r.ConnectingAt), ConnectedAt: utc(r.ConnectedAt), DisconnectedAt: utc(r.DisconnectedAt),
		LastLeftAt: utc(r.LastLeftAt), LastLeft: r.lastLeft(), Interrupted: r.Interrupted,
		Members: map[string]domain.Member{}, Participants: map[string]domain.Participant{},
	}
}

func (r mappingRow) lastLeft() domain.Parting {
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
		ParticipantSID: orNull(p.SID), JoinedAt: orNull(p.JoinedAt), Episode: p.Episode,
		Outdated: p.Outdated, WindowReason: orNull(string(p.Window.Reason)), WindowParting: orNull(string(p.Window.Parting)),
		WindowTold: p.Window.Told, WindowSince: orNull(p.Window.Since), WindowDeadline: orNull(p.Window.Deadline),
	}
}

func (r participantRow) participant() domain.Participant {
	return domain.Participant{
		Identity: r.Identity, UserID: r.UserID, DeviceID: r.DeviceID, Presence: domain.Presence(r.Presence),
		SID: orZero(r.ParticipantSID), JoinedAt: utc(r.JoinedAt), Episode: r.Episode, Outdated: r.Outdated, Window: r.window(),
	}
}

// window is what the participant's presence allows: the version before windows writes presence alone.
func (r participantRow) window() domain.Window {
	switch presence := domain.Presence(r.Presence); {
	case presence != domain.Replaced && presence != domain.Reconnecting:
		return domain.Window{}
	case r.WindowDeadline == nil:
		joined := utc(r.JoinedAt)
		return domain.Window{Reason: events.LeaveUnknown, Parting: domain.InOrder, Told: true, Since: joined, Deadline: joined}
	default:
		return domain.Window{
			Reason: events.LeaveReason(orZero(r.WindowReason)), Parting: domain.Parting(orZero(r.WindowParting)), Told: r.WindowTold,
			Since: utc(r.WindowSince), Deadline: utc(r.WindowDeadline),
		}
	}
}

func toTrackRow(sessionID, identity string, t domain.Track) trackRow {
	return trackRow{
		SessionID: sessionID, Identity: identity, TrackSID: t.SID, Kind: string(t.Kind), Source: string(t.Source),
		Name: t.Name, MimeType: t.MimeType, PublishedAt: t.PublishedAt, Open: t.Open, Awaits: orNull(t.Awaits),
	}
}

func (r trackRow) track() domain.Track {
	return domain.Track{
		SID: r.TrackSID, Kind: events.TrackKind(r.Kind), Source: events.TrackSource(r.Source),
		Name: r.Name, MimeType: r.MimeType, PublishedAt: r.PublishedAt.UTC(), Open: r.Open, Awaits: orZero(r.Awaits),
	}
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
		&stored.Room.CreatedAt, &stored.ConnectingAt, &stored.ConnectedAt, &stored.DisconnectedAt, &stored.LastLeftAt,
	} {
		*at = at.Truncate(time.Microsecond)
	}
	for id, m := range s.Members {
		stored.Members[id] = toMemberRow(s.SessionID, m).member()
	}
	for identity, p := range s.Participants {
		kept := toParticipantRow(s.SessionID, p).participant()
		for _, at := range []*time.Time{&kept.JoinedAt, &kept.Window.Since, &kept.Window.Deadline} {
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
