// Package rehearsal gives tests a media server to rehearse with: a script says what happens at the
// server, webhooks tell of it as well or as badly as a test wants, and listings tell the truth of
// each moment. All of it is in the script's own time.
package rehearsal

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// Policy is how long the bridge waits in a rehearsal.
var Policy = domain.Policy{Grace: Window, DepartureTimeout: 20 * time.Second, EmptyTimeout: 5 * time.Minute}

const (
	// Window is how long a participant who is lost may take to come back.
	Window = 30 * time.Second
	// Interval is how often the server is asked for its listing.
	Interval = 5 * time.Second
	// Silence is how long a script is played on after the last thing happened.
	Silence = 3 * time.Minute
)

// Happening is what happens at the server, and is told by a webhook. One without a fact is the
// server's death: all it held is gone, and nobody tells.
type Happening struct {
	At   time.Time
	Fact domain.Fact
}

// Delivery is a webhook that comes.
type Delivery struct {
	At   time.Time
	Fact domain.Fact
}

// Faithful has each webhook come once, at once.
func Faithful(script []Happening) []Delivery {
	var deliveries []Delivery
	for _, h := range script {
		if h.Fact != nil {
			deliveries = append(deliveries, Delivery(h))
		}
	}
	return deliveries
}

// Listing is what the server lists at a time.
func Listing(script []Happening, at time.Time) domain.Listing {
	var room domain.Listing
	for _, h := range script {
		if h.At.After(at) {
			break
		}
		room = after(room, h.Fact)
	}
	return room
}

func after(room domain.Listing, fact domain.Fact) domain.Listing {
	people := slices.Clone(room.Participants)
	find := func(sid string) int {
		return slices.IndexFunc(people, func(p domain.Listed) bool { return p.SID == sid })
	}
	switch f := fact.(type) {
	case nil, domain.RoomFinished:
		return domain.Listing{}
	case domain.RoomStarted:
		return domain.Listing{Room: f.Room}
	case domain.ParticipantJoined:
		people = append(people, domain.Listed{Connection: f.Connection, State: domain.Active})
	case domain.ParticipantLeft:
		people = slices.DeleteFunc(people, func(p domain.Listed) bool { return p.SID == f.SID })
	case domain.TrackPublished:
		if n := find(f.SID); n >= 0 {
			people[n].Tracks = append(slices.Clone(people[n].Tracks), f.Track)
		}
	case domain.TrackUnpublished:
		if n := find(f.SID); n >= 0 {
			people[n].Tracks = slices.DeleteFunc(slices.Clone(people[n].Tracks), func(t domain.Track) bool { return t.SID == f.Track.SID })
		}
	}
	return domain.Listing{Room: room.Room, Participants: people}
}

// Outcome is what a run comes to, as far as it doesn't depend on what only webhooks tell.
type Outcome struct {
	Connected, Over bool
	Present         map[string]bool // by identity, of all who were ever shown
	Published       map[string]bool // sids of all tracks that were ever shown
	Open            map[string]bool // sids of the tracks that are shown still
}

// Play has the webhooks come, and the server asked as the reconciler and the windows do it, and
// returns the mapping afterwards, the log and the outcome.
func Play(t testing.TB, m domain.Mapping, script []Happening, deliveries []Delivery) (domain.Mapping, []domain.Event, Outcome) {
	t.Helper()
	deliveries = slices.Clone(deliveries)
	slices.SortStableFunc(deliveries, func(a, b Delivery) int { return a.At.Compare(b.At) })
	end := script[len(script)-1].At.Add(Silence)
	var log []domain.Event
	var missing domain.Missing
	note := func(next domain.Mapping, r domain.Result) {
		m = next
		log = append(log, r.Events...)
	}
	for now, looked := script[0].At, script[0].At; now.Before(end); now = now.Add(time.Second) {
		moment := domain.Moment{Now: now, Policy: Policy}
		for len(deliveries) > 0 && !deliveries[0].At.After(now) {
			note(m.Apply(deliveries[0].Fact, moment))
			deliveries = deliveries[1:]
		}
		look := func(before domain.Missing, expire bool) domain.Missing {
			inspection := domain.Inspection{Listing: Listing(script, now), Revision: m.Revision(), Before: before, Expire: expire}
			next, result, missing := m.Inspect(inspection, moment)
			var asked []string
			for len(result.Ask) > 0 {
				asked = append(asked, result.Ask...)
				inspection.Answers = answers(inspection.Listing, asked)
				next, result, missing = m.Inspect(inspection, moment)
			}
			note(next, result)
			return missing
		}
		if since := now.Sub(looked); since == Interval {
			missing, looked = look(domain.Missing{}, false), now
		} else if since == domain.ConfirmDelay {
			look(missing, false)
		}
		if next, open := m.NextCheckAt(); open && !next.After(now) {
			look(domain.Missing{}, true)
		}
	}
	require.Empty(t, deliveries, "a webhook came after the end")
	return m, log, outcome(t, m, log)
}

// answers is what the server answers when it is asked for participants.
func answers(room domain.Listing, identities []string) map[string]domain.Answer {
	answers := map[string]domain.Answer{}
	for _, identity := range identities {
		answers[identity] = domain.Answer{Kind: domain.NotFound}
	}
	for _, p := range room.Participants {
		if answers[p.Identity].Kind != 0 {
			answers[p.Identity] = domain.Answer{Kind: domain.Found, Found: p}
		}
	}
	return answers
}

func outcome(t testing.TB, m domain.Mapping, log []domain.Event) Outcome {
	t.Helper()
	o := Outcome{Connected: m.Activated(), Over: m.Over(), Present: map[string]bool{}, Published: map[string]bool{}, Open: map[string]bool{}}
	ids := map[string]bool{}
	for _, e := range log {
		require.False(t, ids[e.ID], "an id is given once: %s", e.Payload.EventType())
		ids[e.ID] = true
		_, err := events.Seal(e.ID, m.SessionID(), e.Draft)
		require.NoError(t, err)
		switch p := e.Payload.(type) {
		case events.CallParticipantJoinedPayload:
			o.Present[p.Identity] = true
		case events.CallParticipantReconnectedPayload:
			o.Present[p.Identity] = true
		case events.CallParticipantReconnectingPayload:
			o.Present[p.Identity] = false
		case events.CallParticipantLeftPayload:
			o.Present[p.Identity] = false
		case events.CallTrackPublishedPayload:
			o.Published[p.TrackSID], o.Open[p.TrackSID] = true, true
		case events.CallTrackUnpublishedPayload:
			delete(o.Open, p.TrackSID)
		}
	}
	return o
}
