package domain

import (
	"strings"
	"unicode/utf8"
)

// Kind is what a participant is at the provider.
type Kind int

// The kinds of participants.
const (
	Standard Kind = iota // a client, and whatever kind this build doesn't know
	Phone                // a caller who dialled in, or was dialled
	Agent                // a program that works for the call
	Recorder             // a recording or an ingest of the provider, and a hidden client that records
)

// works says whether the participant only works for others: it keeps no call open and is not
// counted.
func (k Kind) works() bool { return k == Agent || k == Recorder }

// maxStored is the longest identity that is stored, in bytes: one of ours, and what a client may
// add to it.
const maxStored = 4 * MaxIdentity

// storable says whether an identity can be stored, as one to be removed. LiveKit takes any text
// from the holder of a token, with zero bytes and of a hundred kilobytes.
func storable(identity string) bool {
	return identity != "" && len(identity) <= maxStored && utf8.ValidString(identity) && !strings.ContainsRune(identity, 0)
}

// shadows says whether an identity, which isn't mapped, extends one that is: a token lets its
// holder into the room a second time, to publish only, as IDENTITY#NAME (LiveKit's query parameter
// publish).
func (s State) shadows(identity string) bool {
	if _, mapped := s.Participants[identity]; mapped {
		return false
	}
	for n := 0; n < len(identity); n++ {
		if identity[n] != '#' {
			continue
		}
		if _, mapped := s.Participants[identity[:n]]; mapped {
			return true
		}
	}
	return false
}

// Connected says whether one of the connections counts for the call: a member, a phone, or a
// participant without a token of ours. Agents and recorders are not counted, nor is a second
// connection on a member's token.
func (m Mapping) Connected(connections []Listed) bool {
	for _, c := range connections {
		if _, mapped := m.s.Participants[c.Identity]; mapped {
			if m.s.isActiveMember(c.Identity) {
				return true
			}
			continue
		}
		if !c.Kind.works() && !m.s.shadows(c.Identity) {
			return true
		}
	}
	return false
}

// MayBeInside lists the identities that were in the room, and whose leaving was not told.
func (m Mapping) MayBeInside() []string {
	var identities []string
	for identity, p := range m.s.Participants {
		if p.SID != "" && !p.endTold(p.SID) {
			identities = append(identities, identity)
		}
	}
	return identities
}

// ActiveMembers lists the identities of members who were given a token.
func (m Mapping) ActiveMembers() []string {
	var identities []string
	for identity := range m.s.Participants {
		if m.s.isActiveMember(identity) {
			identities = append(identities, identity)
		}
	}
	return identities
}
