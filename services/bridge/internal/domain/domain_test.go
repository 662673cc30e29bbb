package domain_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

const sessionID = "0198a3c0-5f00-7000-8000-00000000000a"

var start = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)

// now is when facts are heard, long after they happened.
var now = domain.Moment{Now: at(999_999), Policy: domain.Policy{
	Grace: 30 * time.Second, DepartureTimeout: 20 * time.Second, EmptyTimeout: 5 * time.Minute,
}}

func at(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }

// call is a mapping with alice and bob admitted, and what its log shows.
type call struct {
	t       testing.TB
	mapping domain.Mapping
	log     []domain.Event
	last    domain.Result
	answers map[string]domain.Answer // of those who are asked for; NotFound where it has none
	silent  map[string]bool          // who must be asked for though they are listed
}

func newCall(t testing.TB) *call {
	c := &call{t: t, mapping: domain.New(sessionID)}
	c.admit("alice", "", events.RoleHost)
	c.admit("bob", "", events.RoleParticipant)
	return c
}

func (c *call) admit(user, device string, role events.Role) domain.Grant {
	c.t.Helper()
	m, seat, err := c.mapping.Admit(domain.GrantRequest{UserID: user, DeviceID: device, Role: role, SessionVersion: 1})
	require.NoError(c.t, err)
	c.mapping = m
	return seat
}

// hear applies facts, seals every event (which checks it against its schema) and returns the types.
func (c *call) hear(facts ...domain.Fact) []events.Type {
	c.t.Helper()
	types := []events.Type{}
	for _, f := range facts {
		before := c.mapping.Revision()
		c.mapping, c.last = c.mapping.Apply(f, now)
		types = append(types, c.note(before)...)
	}
	return types
}

// note keeps what the last facts made, and returns its types.
func (c *call) note(before int64) []events.Type {
	c.t.Helper()
	types := []events.Type{}
	if len(c.last.Events) > 0 {
		require.Greater(c.t, c.mapping.Revision(), before, "events come from changes only")
	}
	for _, e := range c.last.Events {
		_, err := events.Seal(e.ID, sessionID, e.Draft)
		require.NoError(c.t, err)
		c.log = append(c.log, e)
		types = append(types, e.Payload.EventType())
	}
	return types
}

// look inspects what the provider lists, a while after the last webhook, and returns the types of
// what follows. Those who are asked for answer as c.answers says, and otherwise that they aren't
// found.
func (c *call) look(l domain.Listing, ms int, before domain.Missing, expire bool) ([]events.Type, domain.Missing) {
	c.t.Helper()
	revision := c.mapping.Revision()
	inspection := domain.Inspection{Listing: l, Revision: revision, Before: before, Expire: expire, Silent: c.silent}
	moment := domain.Moment{Now: at(999_999 + ms), Policy: now.Policy}
	after, result, missing := c.mapping.Inspect(inspection, moment)
	inspection.Answers = map[string]domain.Answer{}
	for range 2 { // who is missing, and then who may have come unseen
		for _, identity := range result.Ask {
			answer, given := c.answers[identity]
			if !given {
				answer = domain.Answer{Kind: domain.NotFound}
			}
			if answer.Kind != 0 {
				inspection.Answers[identity] = answer
			}
		}
		after, result, missing = c.mapping.Inspect(inspection, moment)
	}
	c.mapping, c.last = after, result
	return c.note(revision), missing
}

// lookTwice inspects the same listing again after the time that confirms it.
func (c *call) lookTwice(l domain.Listing, ms int) []events.Type {
	c.t.Helper()
	first, missing := c.look(l, ms, domain.Missing{}, false)
	second, _ := c.look(l, ms+2000, missing, false)
	return append(first, second...)
}

// expire has the grace periods end that are over so long after the last webhook: the provider is
// asked a first time before, and a second time then.
func (c *call) expire(l domain.Listing, ms int) []events.Type {
	c.t.Helper()
	before, _ := c.look(l, ms-2000, domain.Missing{}, true)
	said, _ := c.look(l, ms, domain.Missing{}, true)
	return append(before, said...)
}

func listed(r int, people ...domain.Listed) domain.Listing {
	return domain.Listing{Room: room(r), Participants: people}
}

func active(user string, n int, tracks ...string) domain.Listed {
	l := domain.Listed{Connection: conn(user, n), State: domain.Active}
	for _, sid := range tracks {
		_, t := track(user, n, sid)
		l.Tracks = append(l.Tracks, t)
	}
	return l
}

func room(n int) domain.RoomRef {
	return domain.RoomRef{Name: domain.RoomName(sessionID), SID: "RM_" + string(rune('a'+n)), CreatedAt: at(n * 100_000)}
}

func seen(r, ms int) domain.Observation { return domain.Observation{Room: room(r), At: at(ms)} }

func conn(user string, n int) domain.Connection {
	return domain.Connection{Identity: user + "#default", SID: "PA_" + user + strconv.Itoa(n), JoinedAt: at(n * 1000)}
}

func started(r int) domain.Fact { return domain.RoomStarted{Observation: seen(r, r*100_000)} }

func finished(r, ms int) domain.Fact { return domain.RoomFinished{Observation: seen(r, ms)} }

func joined(r int, user string, n int) domain.Fact {
	return domain.ParticipantJoined{Observation: seen(r, n*1000), Connection: conn(user, n)}
}

func left(r int, user string, n, ms int, why events.LeaveReason) domain.Fact {
	return domain.ParticipantLeft{Observation: seen(r, ms), Connection: conn(user, n), Reason: why}
}

func track(user string, n int, sid string) (domain.Connection, domain.Track) {
	c := conn(user, n)
	return domain.Connection{Identity: c.Identity, SID: c.SID},
		domain.Track{SID: sid, Kind: events.TrackAudio, Source: events.SourceMicrophone, Name: "mic", PublishedAt: at(n*1000 + 100)}
}

func published(r int, user string, n int, sid string) domain.Fact {
	c, t := track(user, n, sid)
	s := seen(r, n*1000+100)
	s.Room.CreatedAt = time.Time{}
	return domain.TrackPublished{Observation: s, Connection: c, Track: t}
}

func unpublished(r int, user string, n int, sid string, ms int) domain.Fact {
	c, t := track(user, n, sid)
	s := seen(r, ms)
	s.Room.CreatedAt = time.Time{}
	return domain.TrackUnpublished{Observation: s, Connection: c, Track: t}
}
