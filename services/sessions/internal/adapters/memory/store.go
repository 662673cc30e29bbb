// Package memory holds stand-ins for what the use cases need from outside, for tests. They pass the same suites as the real adapters.
package memory

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// Store keeps sessions in memory.
type Store struct {
	mu         sync.Mutex
	sessions   map[string]*stored
	outbox     []json.RawMessage
	quarantine []ports.Quarantined
	keys       map[keyName]keyed

	checkpoints map[ports.CheckpointName]checkpoint

	added    func(ports.Appended) // told what each change adds to a log
	last     time.Time            // that the store's clock has shown
	claiming sync.Mutex
	claims   map[keyName]chan struct{} // closed when the request has ended
}

type stored struct {
	snapshot domain.Snapshot
	log      []ports.Entry
	loggedAt []time.Time      // of each entry
	since    map[string]int64 // by member: the event that made them one
	former   []ports.Membership
}

var _ ports.SessionStore = (*Store)(nil)

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{
		sessions: map[string]*stored{}, keys: map[keyName]keyed{}, claims: map[keyName]chan struct{}{},
		checkpoints: map[ports.CheckpointName]checkpoint{},
	}
}

// Create implements ports.SessionStore.
func (s *Store) Create(_ context.Context, session *domain.Session, log []ports.Entry) (ports.View, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := &stored{since: map[string]int64{}}
	if err := s.save(kept, session, log); err != nil {
		return ports.View{}, err
	}
	s.sessions[session.ID()] = kept
	return kept.view()
}

// Get implements ports.SessionStore.
func (s *Store) Get(_ context.Context, viewer ports.Viewer, id string) (ports.View, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, err := s.find(viewer, id)
	if err != nil {
		return ports.View{}, err
	}
	return kept.view()
}

// Update implements ports.SessionStore.
func (s *Store) Update(ctx context.Context, viewer ports.Viewer, id string, change func(*domain.Session) ([]ports.Entry, error)) (ports.View, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, err := s.find(viewer, id)
	if err != nil {
		return ports.View{}, err
	}
	session, err := domain.Hydrate(kept.snapshot)
	if err != nil {
		return ports.View{}, err
	}
	log, err := change(session)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return ports.View{}, err
	}
	if len(log) > 0 {
		if err := s.save(kept, session, log); err != nil {
			return ports.View{}, err
		}
	}
	return kept.view()
}

// Take implements ports.SessionStore.
func (s *Store) Take(_ context.Context, event events.Accepted, decide func(*domain.Session, *domain.Digest) (ports.Intake, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.sessions[event.SessionID]
	var session *domain.Session
	var logged *domain.Digest
	if kept != nil {
		var err error
		if session, err = domain.Hydrate(kept.snapshot); err != nil {
			return err
		}
		if i := kept.position(event.EventID); i >= 0 {
			logged = &kept.log[i].Digest
		}
	}
	intake, err := decide(session, logged)
	if err != nil {
		return err
	}
	if len(intake.Entries) > 0 {
		if err := s.save(kept, session, intake.Entries); err != nil {
			return err
		}
	}
	if q := intake.Quarantined; q != nil && !s.hasQuarantined(*q) {
		s.quarantine = append(s.quarantine, *q)
	}
	return nil
}

// Events implements ports.SessionStore.
func (s *Store) Events(_ context.Context, viewer ports.Viewer, id string, request ports.PageRequest) (ports.Page, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, err := s.find(viewer, id)
	if err != nil {
		return ports.Page{}, err
	}
	from := 0
	if request.After != "" {
		i := kept.position(request.After)
		if i < 0 {
			return ports.Page{}, &ports.WatermarkGoneError{Earliest: kept.log[0].Event.EventID}
		}
		from = i + 1
	}
	page := ports.Page{Items: []json.RawMessage{}, LastEventID: kept.log[len(kept.log)-1].Event.EventID}
	last := ""
	for _, entry := range kept.log[from:] {
		asked := len(request.Types) == 0 || slices.Contains(request.Types, entry.Event.Type)
		if !asked || !viewer.Shown(entry.Event.Type) {
			continue
		}
		if len(page.Items) == request.Limit {
			page.HasMore, page.LastEventID = true, last
			break
		}
		page.Items, last = append(page.Items, entry.JSON), entry.Event.EventID
	}
	return page, nil
}

// Event implements ports.SessionStore.
func (s *Store) Event(_ context.Context, id, eventID string) (json.RawMessage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept := s.sessions[id]; kept != nil {
		if i := kept.position(eventID); i >= 0 {
			return slices.Clone(kept.log[i].JSON), nil
		}
	}
	return nil, domain.ErrEventNotFound
}

// Outbox returns what is to be published, in order.
func (s *Store) Outbox() []json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.outbox)
}

// Quarantine returns what was set aside, in order.
func (s *Store) Quarantine() []ports.Quarantined {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.quarantine)
}

func (s *Store) find(viewer ports.Viewer, id string) (*stored, error) {
	kept, exists := s.sessions[id]
	if !exists {
		return nil, domain.ErrNotFound
	}
	isViewer := func(m events.Member) bool { return m.UserID == viewer.UserID }
	if !viewer.All && !slices.ContainsFunc(kept.snapshot.Members, isViewer) {
		return nil, domain.ErrNotFound
	}
	return kept, nil
}

func (s *Store) save(kept *stored, session *domain.Session, log []ports.Entry) error {
	if err := kept.saveMemberships(session.Snapshot(), log); err != nil {
		return err
	}
	before := kept.snapshot.Members
	kept.snapshot = session.Snapshot()
	kept.log = append(kept.log, log...)
	for _, entry := range log {
		kept.loggedAt = append(kept.loggedAt, s.tick())
		if entry.Publish {
			s.outbox = append(s.outbox, entry.JSON)
		}
	}
	s.tell(kept, before, len(log))
	return nil
}

func (s *Store) hasQuarantined(q ports.Quarantined) bool {
	return slices.ContainsFunc(s.quarantine, func(had ports.Quarantined) bool {
		return had.Event.SessionID == q.Event.SessionID && had.Event.EventID == q.Event.EventID && had.Event.Digest == q.Event.Digest
	})
}

func (s *Store) isSetAside(id, eventID string) bool {
	return slices.ContainsFunc(s.quarantine, func(q ports.Quarantined) bool {
		return q.Event.SessionID == id && q.Event.EventID == eventID
	})
}

func (k *stored) position(eventID string) int {
	return slices.IndexFunc(k.log, func(e ports.Entry) bool { return e.Event.EventID == eventID })
}

func (k *stored) view() (ports.View, error) {
	session, err := domain.Hydrate(k.snapshot)
	if err != nil {
		return ports.View{}, err
	}
	return ports.View{Session: session, LastEventID: k.log[len(k.log)-1].Event.EventID}, nil
}
