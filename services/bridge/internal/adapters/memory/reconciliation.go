package memory

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// reconcileLease is the holder of the lease, and how far the passes are.
type reconcileLease struct {
	holder           string // "" where there is none
	until, completed time.Time
	progress         ports.ReconcileProgress
}

// AcquireLease implements ports.ReconcileLease.
func (s *Store) AcquireLease(_ context.Context, holder string, every, lease time.Duration) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return 0, s.failure
	}
	held := s.lease.holder != "" && s.lease.until.After(s.now())
	if held || s.lease.progress.Completed > 0 && s.now().Sub(s.lease.completed) < every {
		return 0, nil
	}
	s.lease.holder, s.lease.until = holder, s.now().Add(lease)
	s.lease.progress.Begun++
	return s.lease.progress.Begun, nil
}

func (s *Store) holds(holder string, pass int64) bool {
	return s.lease.holder == holder && s.lease.progress.Begun == pass && s.lease.until.After(s.now())
}

// RenewLease implements ports.ReconcileLease.
func (s *Store) RenewLease(_ context.Context, holder string, pass int64, lease time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return s.failure
	}
	if !s.holds(holder, pass) {
		return ports.ErrLeaseLost
	}
	s.lease.until = s.now().Add(lease)
	return nil
}

// ReleaseLease implements ports.ReconcileLease.
func (s *Store) ReleaseLease(_ context.Context, holder string, pass int64, completed bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return s.failure
	}
	if !s.holds(holder, pass) {
		return nil
	}
	s.lease.holder = ""
	if completed {
		s.lease.progress.Completed, s.lease.completed = pass, s.now()
	}
	return nil
}

// Progress implements ports.ReconcileLease.
func (s *Store) Progress(context.Context) (ports.ReconcileProgress, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return ports.ReconcileProgress{}, s.failure
	}
	progress := s.lease.progress
	progress.Ago = s.now().Sub(s.lease.completed)
	return progress, nil
}

// ListActive implements ports.MappingSurvey.
func (s *Store) ListActive(_ context.Context, after string, limit int) ([]domain.Mapping, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return nil, s.failure
	}
	var mappings []domain.Mapping
	for id, state := range s.mappings {
		live := state.DisconnectedAt.IsZero() && (!state.Final || !state.ConnectedAt.IsZero())
		if id > after && live {
			mappings = append(mappings, domain.Restore(state))
		}
	}
	slices.SortFunc(mappings, func(a, b domain.Mapping) int { return strings.Compare(a.SessionID(), b.SessionID()) })
	return mappings[:min(limit, len(mappings))], nil
}

// ByIDs implements ports.MappingSurvey.
func (s *Store) ByIDs(ctx context.Context, sessionIDs []string) ([]domain.Mapping, error) {
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

// OrphanRooms implements ports.MappingSurvey.
func (s *Store) OrphanRooms(_ context.Context, roomNames []string) ([]string, error) {
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
