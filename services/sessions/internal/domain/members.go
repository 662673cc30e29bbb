package domain

import (
	"fmt"
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// MemberChange is what setting a member did.
type MemberChange struct {
	Added  bool           // the user was no member before
	Drafts []events.Draft // none where the member has the role already
}

// SetMember makes a user a member with a role, or changes the role that they have. The role already held is a replay: no events, also in a
// final session. Errors: ErrNotFound, ErrForbidden, *InvalidError (also where there are MaxMembers already), ErrOwnerImmutable,
// ErrSessionFinal.
func (s *Session) SetMember(caller Principal, member events.Member, now time.Time) (MemberChange, error) {
	if err := s.Authorize(caller, ActionChange); err != nil {
		return MemberChange{}, err
	}
	var found faults
	found.checkUserID("userId", member.UserID)
	found.checkRole("/role", member.Role)
	if err := found.err(); err != nil {
		return MemberChange{}, err
	}
	held, known := s.RoleOf(member.UserID)
	if known && held == member.Role {
		return MemberChange{}, nil
	}
	if err := s.admitMemberChange(caller, member.UserID, held, member.Role); err != nil {
		return MemberChange{}, err
	}
	if !known && len(s.state.Members) >= MaxMembers {
		found.add("userId", FaultTooMany, fmt.Sprintf("would be one member more than %d, the owner counted", MaxMembers))
		return MemberChange{}, found.err()
	}
	version := s.state.Version + 1
	var payload events.Payload = events.CallMemberAddedPayload{UserID: member.UserID, Role: member.Role, SessionVersion: version}
	if known {
		payload = events.CallMemberUpdatedPayload{UserID: member.UserID, Role: member.Role, SessionVersion: version}
	}
	drafts := s.record(nil, now, events.Draft{Timestamp: precise(now), Actor: caller.Actor(), Payload: payload})
	return MemberChange{Added: !known, Drafts: drafts}, nil
}

// RemoveMember takes a user off the members. Errors: ErrNotFound, ErrForbidden, ErrNotAMember, ErrOwnerImmutable, ErrSessionFinal.
func (s *Session) RemoveMember(caller Principal, userID string, now time.Time) ([]events.Draft, error) {
	held, known := s.RoleOf(userID)
	leaves := known && userID == caller.UserID
	action := ActionChange
	if leaves {
		action = ActionRead
	}
	if err := s.Authorize(caller, action); err != nil {
		return nil, err
	}
	if !known {
		return nil, ErrNotAMember
	}
	if leaves && userID != s.state.OwnerID {
		held = "" // nobody needs a right to lay down their own
	}
	if err := s.admitMemberChange(caller, userID, held, ""); err != nil {
		return nil, err
	}
	return s.record(nil, now, events.Draft{
		Timestamp: precise(now), Actor: caller.Actor(),
		Payload: events.CallMemberRemovedPayload{UserID: userID, SessionVersion: s.state.Version + 1},
	}), nil
}

// admitMemberChange holds a change from one role to another ("" for none) to the rules, for a caller who may change members at all.
func (s *Session) admitMemberChange(caller Principal, userID string, from, to events.Role) error {
	mayGrantHost := caller.UserID == s.state.OwnerID || caller.Has(ScopeAdmin)
	switch {
	case userID == s.state.OwnerID:
		return ErrOwnerImmutable
	case (from == events.RoleHost || to == events.RoleHost) && !mayGrantHost:
		return fmt.Errorf("granting or revoking %s: %w", events.RoleHost, ErrForbidden)
	case s.Final():
		return ErrSessionFinal
	}
	return nil
}

// putMember adds a member or changes their role, in the order of users.
func (s *Session) putMember(m events.Member) {
	i, found := s.memberIndex(m.UserID)
	if !found {
		s.state.Members = slices.Insert(s.state.Members, i, m)
		return
	}
	s.state.Members[i] = m
}

func (s *Session) dropMember(userID string) {
	s.state.Members = slices.DeleteFunc(s.state.Members, func(m events.Member) bool { return m.UserID == userID })
}
