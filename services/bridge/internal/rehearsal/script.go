package rehearsal

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

const departure = 20 * time.Second // how long an empty room stays

var people = []string{"alice#default", "bob#default", "carol#default"}

// server is a media server while a script is made up.
type server struct {
	t      *rapid.T
	script []Happening
	now    time.Time
	room   domain.RoomRef
	sids   int
	in     map[string]domain.Connection // who is in the room, by identity
	tracks map[string]domain.Track      // of those, one each
}

// Script makes up what happens in a room. Each state lasts for long enough to be listed, and nobody
// comes when, depending on webhooks that may be lost, the call is over or not.
func Script(t *rapid.T, room string, start time.Time) []Happening {
	s := &server{t: t, now: start, room: domain.RoomRef{Name: room}, in: map[string]domain.Connection{}, tracks: map[string]domain.Track{}}
	s.join()
	for range rapid.IntRange(0, 12).Draw(t, "steps") {
		if !s.step() {
			break
		}
	}
	return s.script
}

// step has something happen, and says whether the call may go on.
func (s *server) step() bool {
	s.wait(20, 60)
	lost := true
	switch rapid.IntRange(0, 9).Draw(s.t, "step") {
	case 0, 1:
		s.join()
	case 2, 3:
		s.leave(events.LeaveClientInitiated)
		lost = false
	case 4, 5:
		s.leave(rapid.SampledFrom([]events.LeaveReason{events.LeaveConnectionTimeout, events.LeaveSignalClose, events.LeaveUnknown}).Draw(s.t, "why"))
	case 6:
		s.replace(rapid.SampledFrom([]events.LeaveReason{events.LeaveDuplicateIdentity, events.LeaveMigration}).Draw(s.t, "how"))
	case 7, 8:
		s.track()
	default:
		s.script = append(s.script, Happening{At: s.now})
		s.room.SID, s.in, s.tracks = "", map[string]domain.Connection{}, map[string]domain.Track{}
		return s.comeBack(20)
	}
	if len(s.in) > 0 {
		return true
	}
	if lost {
		return s.comeBack(25)
	}
	return s.comeBack(15)
}

// comeBack has somebody come into the empty room, or a new one, within so many seconds, or nobody
// ever.
func (s *server) comeBack(within int) bool {
	back := rapid.IntRange(5, 2*within).Draw(s.t, "back after")
	wait := time.Duration(back) * time.Second
	if s.room.SID != "" && (back > within || wait > departure) {
		s.now = s.now.Add(departure)
		s.tell(domain.RoomFinished{Observation: s.observation()})
		s.room.SID = ""
		wait -= departure
	}
	if back > within {
		return false
	}
	s.now = s.now.Add(wait)
	for range rapid.IntRange(1, len(people)).Draw(s.t, "how many") {
		s.join()
		s.now = s.now.Add(time.Second)
	}
	return true
}

func (s *server) wait(least, most int) {
	s.now = s.now.Add(time.Duration(rapid.IntRange(least, most).Draw(s.t, "seconds")) * time.Second)
}

func (s *server) tell(f domain.Fact) { s.script = append(s.script, Happening{At: s.now, Fact: f}) }

func (s *server) observation() domain.Observation { return domain.Observation{Room: s.room, At: s.now} }

func (s *server) sid(kind string) string {
	s.sids++
	return fmt.Sprintf("%s_%03d", kind, s.sids)
}

// join has somebody join who isn't there, in a new room where there is none.
func (s *server) join() {
	var out []string
	for _, identity := range people {
		if _, in := s.in[identity]; !in {
			out = append(out, identity)
		}
	}
	if len(out) == 0 {
		return
	}
	if s.room.SID == "" {
		s.room.SID, s.room.CreatedAt = s.sid("RM"), s.now
		s.tell(domain.RoomStarted{Observation: s.observation()})
	}
	s.connect(rapid.SampledFrom(out).Draw(s.t, "who joins"))
}

func (s *server) connect(identity string) {
	c := domain.Connection{Identity: identity, SID: s.sid("PA"), JoinedAt: s.now}
	s.in[identity] = c
	s.tell(domain.ParticipantJoined{Observation: s.observation(), Connection: c})
}

func (s *server) somebody() (domain.Connection, bool) {
	var in []string
	for identity := range s.in {
		in = append(in, identity)
	}
	if len(in) == 0 {
		return domain.Connection{}, false
	}
	slices.Sort(in)
	return s.in[rapid.SampledFrom(in).Draw(s.t, "who")], true
}

func (s *server) leave(why events.LeaveReason) {
	c, found := s.somebody()
	if !found {
		return
	}
	s.unpublish(c)
	delete(s.in, c.Identity)
	s.tell(domain.ParticipantLeft{Observation: s.observation(), Connection: c, Reason: why})
}

func (s *server) replace(how events.LeaveReason) {
	c, found := s.somebody()
	if !found {
		return
	}
	delete(s.tracks, c.Identity)
	s.tell(domain.ParticipantLeft{Observation: s.observation(), Connection: c, Reason: how})
	s.now = s.now.Add(time.Second)
	s.connect(c.Identity)
}

func (s *server) track() {
	c, found := s.somebody()
	if !found {
		return
	}
	if _, publishes := s.tracks[c.Identity]; publishes {
		s.unpublish(c)
		return
	}
	t := domain.Track{SID: s.sid("TR"), Kind: events.TrackAudio, Source: events.SourceMicrophone, PublishedAt: s.now}
	s.tracks[c.Identity] = t
	s.tell(domain.TrackPublished{Observation: s.observation(), Connection: c, Track: t})
}

func (s *server) unpublish(c domain.Connection) {
	if t, publishes := s.tracks[c.Identity]; publishes {
		delete(s.tracks, c.Identity)
		s.tell(domain.TrackUnpublished{Observation: s.observation(), Connection: c, Track: t})
	}
}

// Disturb has webhooks be lost, come twice, late, and in any order.
func Disturb(t *rapid.T, script []Happening) []Delivery {
	var deliveries []Delivery
	for _, d := range Faithful(script) {
		for range rapid.SampledFrom([]int{0, 1, 1, 2}).Draw(t, "times") {
			late := d
			late.At = d.At.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 1, 3, 8, 25, 70}).Draw(t, "late")) * time.Second)
			deliveries = append(deliveries, late)
		}
	}
	return deliveries
}

// Admitted is the mapping of a session in which everybody of a script has a token.
func Admitted(t testing.TB, session string) domain.Mapping {
	t.Helper()
	m := domain.New(session)
	for _, user := range []string{"alice", "bob", "carol"} {
		admitted, _, err := m.Admit(domain.GrantRequest{UserID: user, Role: events.RoleParticipant, SessionVersion: 1})
		if err != nil {
			t.Fatal(err)
		}
		m = admitted
	}
	return m
}
