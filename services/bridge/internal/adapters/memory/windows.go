package memory

import (
	"context"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// window is when the first open window of a session ends, and who looks after it.
type window struct {
	ports.DueWindow

	ends time.Time
	due  time.Time // when it can be claimed
}

// keepWindow follows a mapping that was stored.
func (s *Store) keepWindow(state domain.State) {
	ends, open := state.NextDeadline()
	switch {
	case !open:
		delete(s.windows, state.SessionID)
	case !s.windows[state.SessionID].ends.Equal(ends):
		s.windows[state.SessionID] = window{DueWindow: ports.DueWindow{SessionID: state.SessionID}, ends: ends, due: ends}
	}
}

func (s *Store) claimed(sessionID string, claim int64) bool {
	w := s.windows[sessionID]
	return w.Claim == claim && w.due.After(s.now())
}

// ClaimWindows implements ports.Windows.
func (s *Store) ClaimWindows(_ context.Context, limit int, lease time.Duration) ([]ports.DueWindow, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return nil, s.failure
	}
	var claimed []ports.DueWindow
	for id, w := range s.windows {
		if len(claimed) == limit || w.due.After(s.now()) {
			continue
		}
		w.Claim, w.due = s.number(), s.now().Add(lease)
		s.windows[id] = w
		claimed = append(claimed, w.DueWindow)
	}
	return claimed, nil
}

// PostponeWindow implements ports.Windows.
func (s *Store) PostponeWindow(_ context.Context, w ports.DueWindow, after time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return s.failure
	}
	if stored := s.windows[w.SessionID]; stored.Claim == w.Claim && s.claimed(w.SessionID, w.Claim) {
		stored.Claim, stored.due = 0, s.now().Add(after)
		stored.Attempts++
		s.windows[w.SessionID] = stored
	}
	return nil
}

// NextWindow implements ports.Windows.
func (s *Store) NextWindow(context.Context) (time.Duration, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return 0, false, s.failure
	}
	wait, found := soonest(s.now(), s.windows, func(w window) time.Time { return w.due })
	return wait, found, nil
}
