package domain

import (
	"cmp"
	"slices"

	"github.com/callplane/callplane/contracts/events"
)

// DesiredPermission is what the provider is to hold a participant to: the rights of a role, or that
// they must not be in the room.
type DesiredPermission struct {
	Identity string
	UserID   string      // "" for an identity that was never given a token
	Role     events.Role // "" where Removed
	Removed  bool
}

// PermissionChanges lists, by identity, what the provider is to hold the participants to whose
// member has another role than before, was removed, or came back. A call that is over has none: its
// room goes as a whole.
func (m Mapping) PermissionChanges(before Mapping) []DesiredPermission {
	if m.Over() {
		return nil
	}
	var changed []DesiredPermission
	for identity, p := range m.s.Participants {
		if _, mapped := before.s.Participants[identity]; !mapped {
			continue // never given a token before
		}
		if was, is := before.s.Members[p.UserID], m.s.Members[p.UserID]; was.Role != is.Role || was.Removed != is.Removed {
			changed = append(changed, m.s.desired(p))
		}
	}
	slices.SortFunc(changed, func(a, b DesiredPermission) int { return cmp.Compare(a.Identity, b.Identity) })
	return changed
}

func (s State) desired(p Participant) DesiredPermission {
	if s.removed(p.UserID) {
		return DesiredPermission{Identity: p.Identity, UserID: p.UserID, Removed: true}
	}
	return DesiredPermission{Identity: p.Identity, UserID: p.UserID, Role: s.Members[p.UserID].Role}
}

// markTokensStale notes that the user may hold tokens that give other rights than they have now.
func (s *State) markTokensStale(userID string) {
	for identity, p := range s.Participants {
		if p.UserID == userID {
			p.StaleToken = true
			s.Participants[identity] = p
		}
	}
}

// mayStay says whether a participant who came into the room may stay, and has the provider hold
// them to their rights where their token may say otherwise.
func (t *transition) mayStay(p *Participant) bool {
	if t.s.over() {
		return true // the room is about to be deleted
	}
	if p.StaleToken {
		t.permissions = append(t.permissions, t.s.desired(*p))
	}
	return !t.s.removed(p.UserID)
}

// comparePermission has the provider hold a participant to what they may be, where a listing shows
// something else: the wish was lost, or refused, or answered with "not found" although they were
// there.
func (t *transition) comparePermission(p Participant, listed Listed) {
	desired := t.s.desired(p)
	if desired.Removed || listed.Role != "" && listed.Role != desired.Role {
		t.permissions = append(t.permissions, desired)
	}
}

// putOut has an identity removed from the room. One that can't be stored is removed by the one who
// saw it listed, as often as it is.
func (t *transition) putOut(identity string) {
	if !storable(identity) {
		t.remove = append(t.remove, identity)
		return
	}
	t.permissions = append(t.permissions, DesiredPermission{
		Identity: identity, UserID: t.s.Participants[identity].UserID, Removed: true,
	})
}
