// Package domain is the call session: its state, the one state machine that API, events and timers go
// through, and who may do what. It is pure: the time is an argument, and every change is returned as
// events for the session's log. Replaying that log gives the same state again.
package domain

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// ProviderManaged is the provider whose facts, not the API, activate a session.
const ProviderManaged = events.ProviderLiveKit

// Presence is whether a participant is in the call.
type Presence string

// The states of presence.
const (
	PresencePresent      Presence = "present"
	PresenceReconnecting Presence = "reconnecting" // lost, and expected back within the grace window
	PresenceLeft         Presence = "left"
)

// Participant is somebody who is or was in the call, by the identity that the provider knows.
type Participant struct {
	Identity   string
	UserID     string
	Presence   Presence
	JoinedAt   time.Time
	OpenTracks []string // sids of what the log shows as published and not unpublished, sorted
}

// Correlation says what the session is at its provider. It is written once, by the activation.
type Correlation struct {
	RoomID        string
	ParticipantID string
	CallID        string
}

// Snapshot is a session's whole state, as stores and views take it. Members are sorted by user,
// participants by identity. Times are UTC with microseconds.
type Snapshot struct {
	ID           string
	OwnerID      string
	Status       events.Status
	Title        *string
	Kind         events.Kind
	Provider     string
	Correlation  *Correlation
	Metadata     json.RawMessage // an object, compact
	Members      []events.Member
	Participants []Participant
	Version      int64
	CreatedAt    time.Time
	UpdatedAt    time.Time // of the last change that the version counts
	StartedAt    *time.Time
	EndedAt      *time.Time
	EndReason    *string
	Failure      *events.ErrorInfo
	Disconnected bool // the provider's room is finished
}

// Session is one call session. Its methods are the only way to change it.
type Session struct{ state Snapshot }

// Hydrate makes the session that a store holds. It fails where the state breaks an invariant.
func Hydrate(snapshot Snapshot) (*Session, error) {
	s := &Session{state: clone(snapshot)}
	if err := s.checkInvariants(); err != nil {
		return nil, err
	}
	return s, nil
}

// Snapshot returns a copy of the whole state.
func (s *Session) Snapshot() Snapshot { return clone(s.state) }

// ID returns the session's id, a lower-case UUID.
func (s *Session) ID() string { return s.state.ID }

// Status returns the session's status.
func (s *Session) Status() events.Status { return s.state.Status }

// Version returns the number of changes of status, members and settable fields, counting the creation.
func (s *Session) Version() int64 { return s.state.Version }

// Provider returns the name of the session's media provider.
func (s *Session) Provider() string { return s.state.Provider }

// Kind returns what the call was made for.
func (s *Session) Kind() events.Kind { return s.state.Kind }

// Final says that the status never changes any more.
func (s *Session) Final() bool { return final(s.state.Status) }

// RoleOf returns the user's role, and whether they are a member.
func (s *Session) RoleOf(userID string) (events.Role, bool) {
	i, found := s.memberIndex(userID)
	if !found {
		return "", false
	}
	return s.state.Members[i].Role, true
}

func (s *Session) memberIndex(userID string) (int, bool) {
	return slices.BinarySearchFunc(s.state.Members, userID, func(m events.Member, id string) int {
		return strings.Compare(m.UserID, id)
	})
}

func (s *Session) participantIndex(identity string) (int, bool) {
	return slices.BinarySearchFunc(s.state.Participants, identity, func(p Participant, id string) int {
		return strings.Compare(p.Identity, id)
	})
}

func clone(s Snapshot) Snapshot {
	s.Title = clonePtr(s.Title)
	s.Correlation = clonePtr(s.Correlation)
	s.Metadata = slices.Clone(s.Metadata)
	s.Members = slices.Clone(s.Members)
	s.Participants = slices.Clone(s.Participants)
	for i := range s.Participants {
		s.Participants[i].OpenTracks = slices.Clone(s.Participants[i].OpenTracks)
	}
	s.StartedAt = clonePtr(s.StartedAt)
	s.EndedAt = clonePtr(s.EndedAt)
	s.EndReason = clonePtr(s.EndReason)
	s.Failure = clonePtr(s.Failure)
	return s
}

func clonePtr[T any](p *T) *T {
	if p == nil {
		return nil
	}
	v := *p
	return &v
}

// precise returns t as it is kept: UTC, in microseconds, so that every store gives back what it got.
func precise(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
