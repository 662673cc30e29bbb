package domain

import (
	"slices"
	"strings"

	"github.com/callplane/callplane/contracts/events"
)

// checkInvariants returns a *CorruptError where the state is not a possible one.
func (s *Session) checkInvariants() error {
	st := &s.state
	_, known := transitions[st.Status]
	owner, _ := s.RoleOf(st.OwnerID)
	byUser := func(a, b events.Member) int { return strings.Compare(a.UserID, b.UserID) }
	byIdentity := func(a, b Participant) int { return strings.Compare(a.Identity, b.Identity) }
	for _, invariant := range []struct {
		holds bool
		name  string
	}{
		{known, "the status is unknown"},
		{st.Version >= 1, "the version is below 1"},
		{slices.IsSortedFunc(st.Members, byUser), "the members are not sorted"},
		{slices.IsSortedFunc(st.Participants, byIdentity), "the participants are not sorted"},
		{owner == events.RoleHost, "the owner is not a host"},
		{(st.Correlation != nil) == (st.StartedAt != nil), "correlation and start don't go together"},
		{final(st.Status) == (st.EndedAt != nil), "final status and end don't go together"},
		{(st.Status == events.StatusFailed) == (st.Failure != nil), "failed status and error don't go together"},
		{started(st.Status) == (st.StartedAt != nil) || final(st.Status), "status and start don't go together"},
		{st.EndedAt == nil || st.StartedAt == nil || !st.EndedAt.Before(*st.StartedAt), "it ended before it started"},
	} {
		if !invariant.holds {
			return &CorruptError{SessionID: st.ID, Invariant: invariant.name}
		}
	}
	return nil
}

func started(status events.Status) bool {
	return status == events.StatusActive || status == events.StatusReconnecting
}
