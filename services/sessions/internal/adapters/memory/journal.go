package memory

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

var _ ports.Journal = (*Store)(nil)

// Follow has what each change adds to a log given to added. It is to be called before the store is used.
func (s *Store) Follow(added func(ports.Appended)) { s.added = added }

// tick returns a moment that it never returned before.
func (s *Store) tick() time.Time {
	now := time.Now().UTC().Truncate(time.Microsecond)
	if !now.After(s.last) {
		now = s.last.Add(time.Microsecond)
	}
	s.last = now
	return now
}

// tell tells of the last entries of a log, and of whom they concern.
func (s *Store) tell(kept *stored, before []events.Member, count int) {
	if s.added == nil {
		return
	}
	told := ports.Appended{SessionID: kept.snapshot.ID, Users: ports.Concerned(before, kept.snapshot.Members)}
	for i := len(kept.log) - count; i < len(kept.log); i++ {
		told.Entries = append(told.Entries, kept.entry(i))
	}
	s.added(told)
}

// entry returns the event in place i of a log.
func (k *stored) entry(i int) ports.Logged {
	e := k.log[i]
	logged := ports.Logged{Seq: int64(i + 1), EventID: e.Event.EventID, Type: e.Event.Type, LoggedAt: k.loggedAt[i], JSON: e.JSON}
	if e.Event.Type == events.CallMemberRemoved {
		logged.Member = userIn(e)
	}
	return logged
}

func userIn(e ports.Entry) string {
	var payload struct {
		UserID string `json:"userId"`
	}
	_ = json.Unmarshal(e.Event.Payload, &payload) // It was sealed.
	return payload.UserID
}

// Locate implements ports.Journal.
func (s *Store) Locate(_ context.Context, viewer ports.Viewer, id, after string) (ports.Place, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, err := s.find(viewer, id)
	if err != nil {
		return ports.Place{}, err
	}
	place := ports.Place{Last: int64(len(kept.log))}
	if after != "" {
		i := kept.position(after)
		if i < 0 {
			return ports.Place{}, &ports.WatermarkGoneError{Earliest: kept.log[0].Event.EventID}
		}
		place.Seq = int64(i + 1)
	}
	return place, nil
}

// Read implements ports.Journal.
func (s *Store) Read(_ context.Context, id string, after int64, limit int) ([]ports.Logged, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var entries []ports.Logged
	kept := s.sessions[id]
	for i := int(after); kept != nil && i < len(kept.log) && len(entries) < limit; i++ {
		entries = append(entries, kept.entry(i))
	}
	return entries, nil
}

// Ends implements ports.Journal.
func (s *Store) Ends(_ context.Context, ids []string) (map[string]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ends := map[string]int64{}
	for _, id := range ids {
		if kept := s.sessions[id]; kept != nil {
			ends[id] = int64(len(kept.log))
		}
	}
	return ends, nil
}

// Now implements ports.Journal.
func (s *Store) Now(context.Context) (time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tick(), nil
}

// membership tells which part of the log a user saw, the log itself says so.
func (k *stored) member(user string) []bool {
	member, shown := false, make([]bool, len(k.log))
	for i, e := range k.log {
		var payload struct{ Members []events.Member }
		switch e.Event.Type {
		case events.CallCreated:
			_ = json.Unmarshal(e.Event.Payload, &payload) // It was sealed.
			member = slices.ContainsFunc(payload.Members, func(m events.Member) bool { return m.UserID == user })
		case events.CallMemberAdded:
			member = member || userIn(e) == user
		default:
		}
		shown[i] = member
		if e.Event.Type == events.CallMemberRemoved && userIn(e) == user {
			member = false
		}
	}
	return shown
}

// ReadUser implements ports.Journal.
func (s *Store) ReadUser(_ context.Context, request ports.UserRequest) (ports.UserPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	page := ports.UserPage{AsOf: s.tick()}
	for id, kept := range s.sessions {
		for i, shown := range kept.member(request.UserID) {
			entry := kept.entry(i)
			if shown && entry.Seq > request.Seen[id] && entry.LoggedAt.After(request.Since) {
				page.Items = append(page.Items, ports.UserEntry{SessionID: id, Logged: entry})
			}
		}
	}
	slices.SortFunc(page.Items, func(a, b ports.UserEntry) int {
		return cmp.Or(a.LoggedAt.Compare(b.LoggedAt), cmp.Compare(a.SessionID, b.SessionID), cmp.Compare(a.Seq, b.Seq))
	})
	if page.More = len(page.Items) > request.Limit; page.More {
		page.Items = page.Items[:request.Limit]
	}
	return page, nil
}

// UserEnds implements ports.Journal.
func (s *Store) UserEnds(_ context.Context, users []string, since time.Time) (ports.UserEnds, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := ports.UserEnds{Ends: map[string]map[string]int64{}, AsOf: s.tick()}
	for _, user := range users {
		ends := map[string]int64{}
		for id, kept := range s.sessions {
			for i, shown := range kept.member(user) {
				if shown && kept.loggedAt[i].After(since) {
					ends[id] = int64(i + 1)
				}
			}
		}
		found.Ends[user] = ends
	}
	return found, nil
}
