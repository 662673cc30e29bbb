package memory

import (
	"cmp"
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// saveMemberships keeps what users may follow of the log that grows by entries.
func (k *stored) saveMemberships(after domain.Snapshot, entries []ports.Entry) error {
	begin, end, err := ports.MembershipChanges(int64(len(k.log)), entries)
	if err != nil {
		return err
	}
	for _, m := range after.Members {
		if _, known := k.since[m.UserID]; !known {
			k.since[m.UserID] = cmp.Or(begin[m.UserID], 1)
		}
	}
	for user, since := range k.since {
		if !slices.ContainsFunc(after.Members, func(m events.Member) bool { return m.UserID == user }) {
			k.former = append(k.former, ports.Membership{SessionID: after.ID, UserID: user, Since: since, Until: end[user]})
			delete(k.since, user)
		}
	}
	return nil
}

// Memberships returns the memberships of a session that are and were, by user and in order.
func (s *Store) Memberships(sessionID string) []ports.Membership {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := s.sessions[sessionID]
	if kept == nil {
		return nil
	}
	list := slices.Clone(kept.former)
	for user, since := range kept.since {
		list = append(list, ports.Membership{SessionID: sessionID, UserID: user, Since: since})
	}
	slices.SortFunc(list, func(a, b ports.Membership) int {
		return cmp.Or(cmp.Compare(a.UserID, b.UserID), cmp.Compare(a.Since, b.Since))
	})
	return list
}

// LoggedAt returns when each event of a log was appended.
func (s *Store) LoggedAt(sessionID string) []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if kept := s.sessions[sessionID]; kept != nil {
		return slices.Clone(kept.loggedAt)
	}
	return nil
}
