package memory

import (
	"context"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// check is the next check of a session's room, and the claim on it.
type check struct {
	ports.RoomCheck

	next time.Time
	due  time.Time // when it can be claimed
}

// scheduleCheck follows a mapping that was stored.
func (s *Store) scheduleCheck(state domain.State) {
	next, wanted := state.NextCheckAt()
	switch {
	case !wanted:
		delete(s.checks, state.SessionID)
	case !s.checks[state.SessionID].next.Equal(next):
		s.checks[state.SessionID] = check{RoomCheck: ports.RoomCheck{SessionID: state.SessionID}, next: next, due: next}
	}
}

func (s *Store) claimed(sessionID string, claim int64) bool {
	c := s.checks[sessionID]
	return c.Claim == claim && c.due.After(s.now())
}

// ClaimChecks implements ports.RoomChecks.
func (s *Store) ClaimChecks(_ context.Context, limit int, lease time.Duration) ([]ports.RoomCheck, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return nil, s.failure
	}
	var claimed []ports.RoomCheck
	for id, c := range s.checks {
		if len(claimed) == limit || c.due.After(s.now()) {
			continue
		}
		c.Claim, c.due = s.number(), s.now().Add(lease)
		s.checks[id] = c
		claimed = append(claimed, c.RoomCheck)
	}
	return claimed, nil
}

// PostponeCheck implements ports.RoomChecks.
func (s *Store) PostponeCheck(_ context.Context, c ports.RoomCheck, after time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return s.failure
	}
	if stored := s.checks[c.SessionID]; stored.Claim == c.Claim && s.claimed(c.SessionID, c.Claim) {
		stored.Claim, stored.due = 0, s.now().Add(after)
		stored.Attempts++
		s.checks[c.SessionID] = stored
	}
	return nil
}

// NextCheck implements ports.RoomChecks.
func (s *Store) NextCheck(context.Context) (time.Duration, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return 0, false, s.failure
	}
	wait, found := soonest(s.now(), s.checks, func(c check) time.Time { return c.due })
	return wait, found, nil
}
