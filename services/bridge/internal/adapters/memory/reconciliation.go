package memory

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// turn is whose turn it is, and how far the passes are.
type turn struct {
	holder           string // "" where it is nobody's
	until, completed time.Time
	passes           ports.Passes
}

// TakeTurn implements ports.Turns.
func (s *Store) TakeTurn(_ context.Context, holder string, every, lease time.Duration) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return 0, s.failure
	}
	taken := s.turn.holder != "" && s.turn.until.After(s.now())
	if taken || s.turn.passes.Completed > 0 && s.now().Sub(s.turn.completed) < every {
		return 0, nil
	}
	s.turn.holder, s.turn.until = holder, s.now().Add(lease)
	s.turn.passes.Begun++
	return s.turn.passes.Begun, nil
}

func (s *Store) holds(holder string, pass int64) bool {
	return s.turn.holder == holder && s.turn.passes.Begun == pass && s.turn.until.After(s.now())
}

// KeepTurn implements ports.Turns.
func (s *Store) KeepTurn(_ context.Context, holder string, pass int64, lease time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return s.failure
	}
	if !s.holds(holder, pass) {
		return ports.ErrTurnLost
	}
	s.turn.until = s.now().Add(lease)
	return nil
}

// EndTurn implements ports.Turns.
func (s *Store) EndTurn(_ context.Context, holder string, pass int64, completed bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return s.failure
	}
	if !s.holds(holder, pass) {
		return nil
	}
	s.turn.holder = ""
	if completed {
		s.turn.passes.Completed, s.turn.completed = pass, s.now()
	}
	return nil
}

// Passes implements ports.Turns.
func (s *Store) Passes(context.Context) (ports.Passes, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return ports.Passes{}, s.failure
	}
	passes := s.turn.passes
	passes.Ago = s.now().Sub(s.turn.completed)
	return passes, nil
}

// Unsettled implements ports.Surveys.
func (s *Store) Unsettled(_ context.Context, after string, limit int) ([]domain.Mapping, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return nil, s.failure
	}
	var mappings []domain.Mapping
	for id, state := range s.mappings {
		live := state.DisconnectedAt.IsZero() && (!state.Final || !state.ConnectedAt.IsZero())
		if id > after && live && len(state.Participants) > 0 {
			mappings = append(mappings, domain.Restore(state))
		}
	}
	slices.SortFunc(mappings, func(a, b domain.Mapping) int { return strings.Compare(a.SessionID(), b.SessionID()) })
	return mappings[:min(limit, len(mappings))], nil
}

// Named implements ports.Surveys.
func (s *Store) Named(ctx context.Context, sessionIDs []string) ([]domain.Mapping, error) {
	var mappings []domain.Mapping
	for _, id := range sessionIDs {
		m, known, err := s.Find(ctx, id)
		if err != nil {
			return nil, err
		}
		if known {
			mappings = append(mappings, m)
		}
	}
	return mappings, nil
}

// Zombies implements ports.Surveys.
func (s *Store) Zombies(_ context.Context, roomNames []string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return nil, s.failure
	}
	var sessions []string
	for id, state := range s.mappings {
		_, pending := s.deletions[state.RoomName]
		if !pending && slices.Contains(roomNames, state.RoomName) && domain.Restore(state).Over() {
			sessions = append(sessions, id)
		}
	}
	return sessions, nil
}
