package memory

import (
	"context"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// identityKey is an identity in a session's room.
type identityKey struct{ sessionID, identity string }

// permissionSync is the newest sync of an identity, and the claim on it or on an earlier one.
type permissionSync struct {
	ports.PermissionSync

	due      time.Time
	claimed  time.Time // until when; zero where there is no claim
	removing bool      // the claim is on a removal
}

func (p permissionSync) ready() time.Time {
	if p.claimed.After(p.due) {
		return p.claimed
	}
	return p.due
}

// requestPermission puts a sync on the list, in place of the identity's earlier one; where it is
// only noticed that the permission doesn't hold, an earlier one stays as it is.
func (s *Store) requestPermission(sessionID string, desired domain.DesiredPermission, noticed bool) {
	key := identityKey{sessionID, desired.Identity}
	p, listed := s.syncs[key]
	if listed && noticed {
		return
	}
	p.SessionID, p.Desired, p.Attempts, p.due = sessionID, desired, 0, s.now()
	p.Generation = s.number()
	s.syncs[key] = p
}

func (s *Store) removing(key identityKey) bool {
	p := s.syncs[key]
	return p.removing && p.claimed.After(s.now())
}

// ClaimPermissionSyncs implements ports.PermissionSyncs.
func (s *Store) ClaimPermissionSyncs(_ context.Context, limit int, lease time.Duration) ([]ports.PermissionSync, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return nil, s.failure
	}
	var claimed []ports.PermissionSync
	for key, p := range s.syncs {
		if len(claimed) == limit || p.ready().After(s.now()) {
			continue
		}
		p.Claim, p.claimed, p.removing = s.number(), s.now().Add(lease), p.Desired.Removed
		s.syncs[key] = p
		claimed = append(claimed, p.PermissionSync)
	}
	return claimed, nil
}

// SettlePermissionSync implements ports.PermissionSyncs.
func (s *Store) SettlePermissionSync(_ context.Context, p ports.PermissionSync) error {
	return s.release(p, func(permissionSync) (permissionSync, bool) { return permissionSync{}, false })
}

// PostponePermissionSync implements ports.PermissionSyncs.
func (s *Store) PostponePermissionSync(_ context.Context, p ports.PermissionSync, after time.Duration) error {
	return s.release(p, func(stored permissionSync) (permissionSync, bool) {
		stored.Attempts++
		stored.due = s.now().Add(after)
		return stored, true
	})
}

// release ends a claim. Where there is no newer sync, end says what becomes of the entry, and
// whether it stays.
func (s *Store) release(p ports.PermissionSync, end func(permissionSync) (permissionSync, bool)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return s.failure
	}
	key := identityKey{p.SessionID, p.Desired.Identity}
	stored, listed := s.syncs[key]
	if !listed || stored.Claim != p.Claim {
		return nil
	}
	stored.Claim, stored.claimed, stored.removing = 0, time.Time{}, false
	kept := true
	if stored.Generation == p.Generation {
		stored, kept = end(stored)
	}
	if !kept {
		delete(s.syncs, key)
		return nil
	}
	s.syncs[key] = stored
	return nil
}

// NextPermissionSync implements ports.PermissionSyncs.
func (s *Store) NextPermissionSync(context.Context) (time.Duration, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return 0, false, s.failure
	}
	wait, found := soonest(s.now(), s.syncs, permissionSync.ready)
	return wait, found, nil
}
