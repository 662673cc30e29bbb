package postgres

import (
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// sessionRow is a row of the table sessions.
type sessionRow struct {
	ID                    string     `gorm:"column:id;primaryKey"`
	OwnerID               string     `gorm:"column:owner_id"`
	Status                string     `gorm:"column:status"`
	Title                 *string    `gorm:"column:title"`
	Kind                  string     `gorm:"column:kind"`
	Provider              string     `gorm:"column:provider"`
	ProviderRoomID        *string    `gorm:"column:provider_room_id"`
	ProviderParticipantID *string    `gorm:"column:provider_participant_id"`
	ProviderCallID        *string    `gorm:"column:provider_call_id"`
	Metadata              string     `gorm:"column:metadata"`
	Version               int64      `gorm:"column:version"`
	CreatedAt             time.Time  `gorm:"column:created_at;autoCreateTime:false"`
	UpdatedAt             time.Time  `gorm:"column:updated_at;autoUpdateTime:false"`
	StartedAt             *time.Time `gorm:"column:started_at"`
	EndedAt               *time.Time `gorm:"column:ended_at"`
	EndReason             *string    `gorm:"column:end_reason"`
	ErrorCode             *string    `gorm:"column:error_code"`
	ErrorMessage          *string    `gorm:"column:error_message"`
	Disconnected          bool       `gorm:"column:disconnected"`
	LastSeq               int64      `gorm:"column:last_seq"`
	LastEventID           string     `gorm:"column:last_event_id"`
}

// TableName is gorm's.
func (sessionRow) TableName() string { return "sessions" }

type memberRow struct {
	UserID string `json:"user_id"`
	Role   string `json:"role"`
}

type participantRow struct {
	Identity   string          `json:"identity"`
	UserID     string          `json:"user_id"`
	Presence   string          `json:"presence"`
	JoinedAt   time.Time       `json:"joined_at"`
	OpenTracks json.RawMessage `json:"open_tracks"`
}

type eventRow struct {
	Seq        int64     `gorm:"column:seq"`
	EventID    string    `gorm:"column:event_id"`
	Type       string    `gorm:"column:type"`
	Digest     []byte    `gorm:"column:digest"`
	Envelope   string    `gorm:"column:envelope"`
	AppendedAt time.Time `gorm:"column:appended_at"`
}

// TableName is gorm's.
func (eventRow) TableName() string { return "events" }

type quarantineRow struct {
	SessionID     string    `gorm:"column:session_id"`
	EventID       string    `gorm:"column:event_id"`
	Type          string    `gorm:"column:type"`
	Digest        []byte    `gorm:"column:digest"`
	Reason        string    `gorm:"column:reason"`
	Detail        string    `gorm:"column:detail"`
	Envelope      string    `gorm:"column:envelope"`
	QuarantinedAt time.Time `gorm:"column:quarantined_at"`
}

// TableName is gorm's.
func (quarantineRow) TableName() string { return "quarantine" }

// newSessionRow writes a state and where its log ends.
func newSessionRow(s domain.Snapshot, lastSeq int64, lastEventID string) sessionRow {
	row := sessionRow{
		ID: s.ID, OwnerID: s.OwnerID, Status: string(s.Status), Title: s.Title, Kind: string(s.Kind), Provider: s.Provider,
		Metadata: string(s.Metadata), Version: s.Version, CreatedAt: s.CreatedAt, UpdatedAt: s.UpdatedAt, StartedAt: s.StartedAt,
		EndedAt: s.EndedAt, EndReason: s.EndReason, Disconnected: s.Disconnected, LastSeq: lastSeq, LastEventID: lastEventID,
	}
	if c := s.Correlation; c != nil {
		row.ProviderRoomID, row.ProviderParticipantID, row.ProviderCallID = &c.RoomID, &c.ParticipantID, &c.CallID
	}
	if f := s.Failure; f != nil {
		row.ErrorCode, row.ErrorMessage = &f.Code, &f.Message
	}
	return row
}

func newParticipantRow(p domain.Participant) (participantRow, error) {
	tracks := p.OpenTracks
	if tracks == nil {
		tracks = []string{}
	}
	encoded, err := json.Marshal(tracks)
	if err != nil {
		return participantRow{}, fmt.Errorf("encode the tracks of a participant: %w", err)
	}
	return participantRow{Identity: p.Identity, UserID: p.UserID, Presence: string(p.Presence), JoinedAt: p.JoinedAt, OpenTracks: encoded}, nil
}

func newQuarantineRow(q ports.Quarantined) quarantineRow {
	return quarantineRow{
		SessionID: q.Event.SessionID, EventID: q.Event.EventID, Type: string(q.Event.Type), Digest: q.Event.Digest[:],
		Reason: string(q.Reason), Detail: q.Detail, Envelope: string(q.Event.Raw), QuarantinedAt: q.At,
	}
}

// wholeRow is a session with all that belongs to its state, read by one statement.
type wholeRow struct {
	Session      sessionRow `gorm:"embedded"`
	Members      string     `gorm:"column:members"`      // JSON
	Participants string     `gorm:"column:participants"` // JSON
	LoggedDigest []byte     `gorm:"column:logged_digest"`
}

// into are the places for wholeColumns, and for the digest behind them.
func (w *wholeRow) into() []any {
	s := &w.Session
	return []any{
		&s.ID, &s.OwnerID, &s.Status, &s.Title, &s.Kind, &s.Provider, &s.ProviderRoomID, &s.ProviderParticipantID,
		&s.ProviderCallID, &s.Metadata, &s.Version, &s.CreatedAt, &s.UpdatedAt, &s.StartedAt, &s.EndedAt, &s.EndReason, &s.ErrorCode,
		&s.ErrorMessage, &s.Disconnected, &s.LastSeq, &s.LastEventID, &w.Members, &w.Participants, &w.LoggedDigest,
	}
}

// arguments puts the columns into args, by their names.
func (r sessionRow) arguments(args map[string]any) {
	maps.Copy(args, map[string]any{
		"id": r.ID, "owner_id": r.OwnerID, "status": r.Status, "title": r.Title, "kind": r.Kind, "provider": r.Provider,
		"provider_room_id": r.ProviderRoomID, "provider_participant_id": r.ProviderParticipantID, "provider_call_id": r.ProviderCallID,
		"metadata": r.Metadata, "version": r.Version, "created_at": r.CreatedAt, "updated_at": r.UpdatedAt, "started_at": r.StartedAt,
		"ended_at": r.EndedAt, "end_reason": r.EndReason, "error_code": r.ErrorCode, "error_message": r.ErrorMessage,
		"disconnected": r.Disconnected, "last_seq": r.LastSeq, "last_event_id": r.LastEventID,
	})
}

func (w wholeRow) session() (*domain.Session, error) {
	s, err := w.snapshot()
	if err != nil {
		return nil, err
	}
	return domain.Hydrate(s)
}

// snapshot is the state as it is stored, whether or not it is a possible one.
func (w wholeRow) snapshot() (domain.Snapshot, error) {
	r := w.Session
	s := domain.Snapshot{
		ID: r.ID, OwnerID: r.OwnerID, Status: events.Status(r.Status), Title: r.Title, Kind: events.Kind(r.Kind), Provider: r.Provider,
		Metadata: json.RawMessage(r.Metadata), Version: r.Version, CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
		StartedAt: utc(r.StartedAt), EndedAt: utc(r.EndedAt), EndReason: r.EndReason, Disconnected: r.Disconnected,
	}
	if r.ProviderRoomID != nil && r.ProviderParticipantID != nil && r.ProviderCallID != nil {
		s.Correlation = &domain.Correlation{RoomID: *r.ProviderRoomID, ParticipantID: *r.ProviderParticipantID, CallID: *r.ProviderCallID}
	}
	if r.ErrorCode != nil && r.ErrorMessage != nil {
		s.Failure = &events.ErrorInfo{Code: *r.ErrorCode, Message: *r.ErrorMessage}
	}
	var members []memberRow
	if err := json.Unmarshal([]byte(w.Members), &members); err != nil {
		return domain.Snapshot{}, fmt.Errorf("read the members of session %s: %w", r.ID, err)
	}
	for _, m := range members {
		s.Members = append(s.Members, events.Member{UserID: m.UserID, Role: events.Role(m.Role)})
	}
	var participants []participantRow
	if err := json.Unmarshal([]byte(w.Participants), &participants); err != nil {
		return domain.Snapshot{}, fmt.Errorf("read the participants of session %s: %w", r.ID, err)
	}
	for _, p := range participants {
		var tracks []string
		if err := json.Unmarshal(p.OpenTracks, &tracks); err != nil {
			return domain.Snapshot{}, fmt.Errorf("read the tracks of session %s: %w", r.ID, err)
		}
		s.Participants = append(s.Participants, domain.Participant{
			Identity: p.Identity, UserID: p.UserID, Presence: domain.Presence(p.Presence), JoinedAt: p.JoinedAt.UTC(), OpenTracks: tracks,
		})
	}
	return s, nil
}

func utc(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}
