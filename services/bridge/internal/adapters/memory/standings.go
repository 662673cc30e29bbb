package memory

import (
	"context"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

type seat struct{ sessionID, identity string }

// enforcement is the newest standing of a participant, and the claim of who works on it or an earlier one.
type enforcement struct {
	ports.Enforcement

	due      time.Time
	claimed  time.Time // until when; zero where nobody works on it
	removing bool      // what is claimed is a removal
}

func (e enforcement) ready() time.Time {
	if e.claimed.After(e.due) {
		return e.claimed
	}
	return e.due
}

func (s *Store) request(sessionID string, standing domain.Standing) {
	key := seat{sessionID, standing.Identity}
	e := s.standings[key]
	e.SessionID, e.Standing, e.Attempts, e.due = sessionID, standing, 0, s.now()
	e.Generation = s.number()
	s.standings[key] = e
}

func (s *Store) removing(key seat) bool {
	e := s.standings[key]
	return e.removing && e.claimed.After(s.now())
}

// ClaimEnforcements implements ports.Enforcements.
func (s *Store) ClaimEnforcements(_ context.Context, limit int, lease time.Duration) ([]ports.Enforcement, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return nil, s.failure
	}
	var claimed []ports.Enforcement
	for key, e := range s.standings {
		if len(claimed) == limit || e.ready().After(s.now()) {
			continue
		}
		e.Claim, e.claimed, e.removing = s.number(), s.now().Add(lease), e.Standing.Removed
		s.standings[key] = e
		claimed = append(claimed, e.Enforcement)
	}
	return claimed, nil
}

// SettleEnforcement implements ports.Enforcements.
func (s *Store) SettleEnforcement(_ context.Context, e ports.Enforcement) error {
	return s.release(e, func(enforcement) (enforcement, bool) { return enforcement{}, false })
}

// PostponeEnforcement implements ports.Enforcements.
func (s *Store) PostponeEnforcement(_ context.Context, e ports.Enforcement, after time.Duration) error {
	return s.release(e, func(stored enforcement) (enforcement, bool) {
		stored.Attempts++
		stored.due = s.now().Add(after)
		return stored, true
	})
}

// release ends a claim; end says what becomes of the entry where there is no newer one.
func (s *Store) release(e ports.Enforcement, end func(enforcement) (enforcement, bool)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return s.failure
	}
	key := seat{e.SessionID, e.Standing.Identity}
	stored, there := s.standings[key]
	if !there || stored.Claim != e.Claim {
		return nil
	}
	stored.Claim, stored.claimed, stored.removing = 0, time.Time{}, false
	kept := true
	if stored.Generation == e.Generation {
		stored, kept = end(stored)
	}
	if !kept {
		delete(s.standings, key)
		return nil
	}
	s.standings[key] = stored
	return nil
}

// NextEnforcement implements ports.Enforcements.
func (s *Store) NextEnforcement(context.Context) (time.Duration, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return 0, false, s.failure
	}
	wait, found := soonest(s.now(), s.standings, enforcement.ready)
	return wait, found, nil
}
