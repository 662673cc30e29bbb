// Package memory keeps what the bridge stores in memory, for tests of what works on it. It passes
// the same suites as the real store.
package memory

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

var (
	_ ports.Mappings        = (*Store)(nil)
	_ ports.MappingReader   = (*Store)(nil)
	_ ports.RoomDeletions   = (*Store)(nil)
	_ ports.Receipts        = (*Store)(nil)
	_ ports.OldMappings     = (*Store)(nil)
	_ ports.PermissionSyncs = (*Store)(nil)
	_ ports.RoomChecks      = (*Store)(nil)
	_ ports.ReconcileLease  = (*Store)(nil)
	_ ports.MappingSurvey   = (*Store)(nil)
)

// Store holds mappings, receipts, events to be published and the work that is to be done at the
// provider.
type Store struct {
	now func() time.Time

	mu        sync.Mutex
	mappings  map[string]domain.State // by session
	changed   map[string]time.Time    // when a session's mapping was, last
	receipts  map[string]ports.Receipt
	outbox    []events.Sealed
	deletions map[string]deletion // by room
	syncs     map[identityKey]permissionSync
	checks    map[string]check // by session
	lease     reconcileLease
	given     int64 // the last generation or claim
	failure   error
}

type deletion struct {
	ports.RoomDeletion
	due time.Time
}

// NewStore returns an empty store whose clock is now.
func NewStore(now func() time.Time) *Store {
	return &Store{
		now: now, mappings: map[string]domain.State{}, changed: map[string]time.Time{}, receipts: map[string]ports.Receipt{},
		deletions: map[string]deletion{}, syncs: map[identityKey]permissionSync{}, checks: map[string]check{},
	}
}

// Fail makes every call return err until it is called with nil.
func (s *Store) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failure = err
}

// ChangeSession implements ports.Mappings.
func (s *Store) ChangeSession(_ context.Context, sessionID string, decide ports.Decide) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return s.failure
	}
	m := domain.New(sessionID)
	if state, known := s.mappings[sessionID]; known {
		m = domain.Restore(state)
	}
	change, err := decide(m)
	if err != nil {
		return err
	}
	return s.store(change)
}

// Find implements ports.MappingReader.
func (s *Store) Find(_ context.Context, sessionID string) (domain.Mapping, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return domain.Mapping{}, false, s.failure
	}
	state, known := s.mappings[sessionID]
	return domain.Restore(state), known, nil
}

// Receive implements ports.Mappings.
func (s *Store) Receive(_ context.Context, receipt ports.Receipt, decide ports.Decide) (ports.Reception, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return "", s.failure
	}
	if _, repeated := s.receipts[receipt.ID]; repeated {
		return ports.Repeated, nil
	}
	reception := ports.Noted
	if decide != nil {
		reception = ports.UnknownRoom
		for _, state := range s.mappings {
			if state.RoomName != receipt.RoomName {
				continue
			}
			change, err := decide(domain.Restore(state))
			if err != nil {
				return "", err
			}
			if err := s.store(change); err != nil {
				return "", err
			}
			reception = ports.Stored
			break
		}
	}
	s.receipts[receipt.ID] = receipt
	return reception, nil
}

func (s *Store) store(c ports.Change) error {
	state := c.Mapping.State()
	if s.removing(identityKey{state.SessionID, c.Admits}) {
		return ports.ErrBeingRemoved
	}
	if c.Claim != 0 && !s.claimed(state.SessionID, c.Claim) {
		return ports.ErrClaimLost
	}
	if before, known := s.mappings[state.SessionID]; !known || before.Revision != state.Revision {
		s.changed[state.SessionID] = s.now()
	}
	s.mappings[state.SessionID] = state
	s.scheduleCheck(state)
	s.outbox = append(s.outbox, c.Events...)
	if c.DeleteRoom {
		s.requestDeletion(state.RoomName, c.Noticed)
	}
	for _, desired := range c.Permissions {
		s.requestPermission(state.SessionID, desired, c.Noticed)
	}
	return nil
}

// requestDeletion puts a room on the list, or has it come up at once; where the room is only
// noticed to be there still, an earlier request stays as it is.
func (s *Store) requestDeletion(room string, noticed bool) {
	if _, listed := s.deletions[room]; listed && noticed {
		return
	}
	s.deletions[room] = deletion{RoomDeletion: ports.RoomDeletion{RoomName: room, Generation: s.number()}, due: s.now()}
}

// number returns a generation or claim that was never given before.
func (s *Store) number() int64 {
	s.given++
	return s.given
}

// Claim implements ports.RoomDeletions.
func (s *Store) Claim(_ context.Context, limit int, lease time.Duration) ([]ports.RoomDeletion, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return nil, s.failure
	}
	var claimed []ports.RoomDeletion
	for room, d := range s.deletions {
		if len(claimed) < limit && !d.due.After(s.now()) {
			claimed = append(claimed, d.RoomDeletion)
			d.due = s.now().Add(lease)
			s.deletions[room] = d
		}
	}
	return claimed, nil
}

// Done implements ports.RoomDeletions.
func (s *Store) Done(_ context.Context, d ports.RoomDeletion) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return s.failure
	}
	if s.deletions[d.RoomName].Generation == d.Generation {
		delete(s.deletions, d.RoomName)
	}
	return nil
}

// Postpone implements ports.RoomDeletions.
func (s *Store) Postpone(_ context.Context, d ports.RoomDeletion, after time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return s.failure
	}
	if stored, there := s.deletions[d.RoomName]; there && stored.Generation == d.Generation {
		stored.Attempts++
		stored.due = s.now().Add(after)
		s.deletions[d.RoomName] = stored
	}
	return nil
}

// Failing implements ports.RoomDeletions.
func (s *Store) Failing(_ context.Context, attempts int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return 0, s.failure
	}
	rooms := 0
	for _, d := range s.deletions {
		if d.Attempts >= attempts {
			rooms++
		}
	}
	return rooms, nil
}

// Next implements ports.RoomDeletions.
func (s *Store) Next(context.Context) (time.Duration, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return 0, false, s.failure
	}
	wait, found := soonest(s.now(), s.deletions, func(d deletion) time.Time { return d.due })
	return wait, found, nil
}

// Events returns what is to be published, in order.
func (s *Store) Events() []events.Envelope {
	s.mu.Lock()
	defer s.mu.Unlock()
	envelopes := make([]events.Envelope, 0, len(s.outbox))
	for _, e := range s.outbox {
		envelopes = append(envelopes, e.Envelope())
	}
	return envelopes
}

// Receipts returns the receipts by the webhook's id.
func (s *Store) Receipts() map[string]ports.Receipt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.receipts)
}

// ForgetReceipts implements ports.Receipts.
func (s *Store) ForgetReceipts(_ context.Context, before time.Time, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return 0, s.failure
	}
	forgotten := 0
	for id, r := range s.receipts {
		if forgotten < limit && r.ReceivedAt.Before(before) {
			delete(s.receipts, id)
			forgotten++
		}
	}
	return forgotten, nil
}

// ForgetMappings implements ports.OldMappings.
func (s *Store) ForgetMappings(_ context.Context, before time.Time, limit int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return 0, s.failure
	}
	forgotten := 0
	for id, state := range s.mappings {
		_, pending := s.deletions[state.RoomName]
		for key := range s.syncs {
			pending = pending || key.sessionID == id
		}
		if forgotten < limit && state.Final && !pending && s.changed[id].Before(before) {
			delete(s.mappings, id)
			delete(s.checks, id)
			forgotten++
		}
	}
	return forgotten, nil
}
