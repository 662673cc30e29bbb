package domain

import (
	"cmp"
	"slices"

	"github.com/callplane/callplane/contracts/events"
)

// Standing is what the provider is to hold a participant to: the rights of a role, or that they must not be in the room.
type Standing struct {
	Identity string
	UserID   string
	Role     events.Role // "" where Removed
	Removed  bool
}

// StandingsSince lists, by identity, how the participants stand whose member has another role than before, was removed, or came back. A
// call that is over has none: its room goes as a whole.
func (m Mapping) StandingsSince(before Mapping) []Standing {
	if m.Over() {
		return nil
	}
	var changed []Standing
	for identity, p := range m.s.Participants {
		if _, mapped := before.s.Participants[identity]; !mapped {
			continue // never given a token before
		}
		if was, is := before.s.Members[p.UserID], m.s.Members[p.UserID]; was.Role != is.Role || was.Removed != is.Removed {
			changed = append(changed, m.s.standing(p))
		}
	}
	slices.SortFunc(changed, func(a, b Standing) int { return cmp.Compare(a.Identity, b.Identity) })
	return changed
}

func (s State) standing(p Participant) Standing {
	member := s.Members[p.UserID]
	if member.Removed {
		return Standing{Identity: p.Identity, UserID: p.UserID, Removed: true}
	}
	return Standing{Identity: p.Identity, UserID: p.UserID, Role: member.Role}
}

// outdate notes that tokens of the user may be about that give other rights than they have now.
func (s *State) outdate(userID string) {
	for identity, p := range s.Participants {
		if p.UserID == userID {
			p.Outdated = true
			s.Participants[identity] = p
		}
	}
}

// hold says whether somebody who is in the room may stay, and has the provider told where their token may say otherwise.
func (a *application) hold(p *Participant) bool {
	if a.s.over() {
		return true // the room is about to be deleted
	}
	if p.Outdated {
		a.standings = append(a.standings, a.s.standing(*p))
	}
	return !a.s.Members[p.UserID].Removed
}
