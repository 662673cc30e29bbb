package simulation

import (
	"fmt"
	"sync"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// sessions stands in for the sessions service: it decides on members and on the end, takes the
// bridge's events as the service does, and tells the bridge a moment later what it decided.
type sessions struct {
	id string

	mu       sync.Mutex
	version  int64
	members  map[string]events.Role
	shown    shown
	outgoing []outgoing
	journal  []Entry
	sent     int
}

// outgoing is an event on its way to the bridge.
type outgoing struct {
	at    time.Time
	event events.Envelope
}

func newSessions(id string, members []string) *sessions {
	s := &sessions{id: id, version: 1, members: map[string]events.Role{owner: events.RoleHost}, shown: newShown()}
	for _, user := range members {
		s.members[user] = events.RoleParticipant
	}
	created := events.CallCreatedPayload{
		OwnerID: owner, Kind: events.KindVideo, Provider: events.ProviderLiveKit, Metadata: []byte("{}"), SessionVersion: 1,
	}
	for _, user := range sorted(s.members) {
		created.Members = append(created.Members, events.Member{UserID: user, Role: s.members[user]})
	}
	s.journal = []Entry{{Kind: EntrySession, SessionID: id, OwnerID: owner, Members: created.Members}}
	s.send(0, created)
	return s
}

// send has an event reach the bridge after a delay, and after those before it.
func (s *sessions) send(delay time.Duration, payload events.Payload) {
	s.sent++
	at := time.Now().Add(delay)
	if n := len(s.outgoing); n > 0 {
		at = latest(at, s.outgoing[n-1].at)
	}
	sealed, err := events.Seal(events.DerivedID("simulation", s.id, fmt.Sprint(s.sent)), s.id, events.Draft{
		Timestamp: time.Now(), Actor: events.Actor{Type: events.ActorUser, ID: owner}, Payload: payload,
	})
	if err != nil {
		panic(err) // A mistake of this package.
	}
	s.outgoing = append(s.outgoing, outgoing{at, sealed.Envelope()})
}

// due returns the event that reaches the bridge now, and false where none does.
func (s *sessions) due() (events.Envelope, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.outgoing) == 0 || s.outgoing[0].at.After(time.Now()) {
		return events.Envelope{}, false
	}
	return s.outgoing[0].event, true
}

// done goes on with the event after the first one, and again has the first one come once more.
func (s *sessions) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outgoing = s.outgoing[1:]
}

func (s *sessions) again(after time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outgoing[0].at = time.Now().Add(after)
}

// next is when an event reaches the bridge; zero where none is on its way.
func (s *sessions) next() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.outgoing) == 0 {
		return time.Time{}
	}
	return s.outgoing[0].at
}

// member returns the role of a user, and the version of the session, while the session goes on.
func (s *sessions) member(user string) (role events.Role, version int64, is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	role, is = s.members[user]
	return role, s.version, is && !s.shown.final()
}

// set makes a user a member with a role, or changes the role.
func (s *sessions) set(user string, role events.Role, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was, member := s.members[user]
	if s.shown.final() || user == "" || was == role {
		return
	}
	s.version++
	s.members[user] = role
	s.journal = append(s.journal, Entry{Kind: EntryMember, User: user, Role: role})
	if member {
		s.send(delay, events.CallMemberUpdatedPayload{UserID: user, Role: role, SessionVersion: s.version})
		return
	}
	s.send(delay, events.CallMemberAddedPayload{UserID: user, Role: role, SessionVersion: s.version})
}

func (s *sessions) remove(user string, delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown.final() || s.members[user] == "" {
		return
	}
	s.version++
	delete(s.members, user)
	s.journal = append(s.journal, Entry{Kind: EntryRemoved, User: user})
	s.send(delay, events.CallMemberRemovedPayload{UserID: user, SessionVersion: s.version})
}

// end ends the session, as a caller of the API does.
func (s *sessions) end(delay time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shown.final() {
		return
	}
	s.shown.status = events.StatusEnded
	s.journal = append(s.journal, Entry{Kind: EntryEnded})
	s.sayEnded(delay)
}

func (s *sessions) sayEnded(delay time.Duration) {
	s.version++
	s.send(delay, events.CallEndedPayload{Reason: "completed", SessionVersion: s.version, EndedAt: events.At(time.Now())})
}

// take takes an event of the bridge, and says what is wrong with it. The end of the call ends the
// session, and the bridge hears of that a moment later.
func (s *sessions) take(e events.Sealed) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.journal = append(s.journal, Entry{Kind: EntryEvent, Event: e.JSON()})
	was := s.shown.final()
	wrong := s.shown.see(e)
	if !was && s.shown.final() {
		s.sayEnded(time.Second / 2)
	}
	return wrong
}
