package domain

import (
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// takeOver makes a connection the participant's current one. The tracks of the connection before
// are gone with it; those that waited for this one stay.
func (t *transition) takeOver(p *Participant, c Connection, how Evidence) {
	joinedAt := t.joinedAt(c)
	t.closeTracks(p, joinedAt)
	if p.Shown() {
		t.nextEpisode(p)
	}
	p.SID, p.JoinedAt, p.Evidence, p.Unanswered = c.SID, joinedAt, how, false
	p.keepTracks(func(track Track) bool { return track.Awaits == c.SID })
	t.changed = true
}

func (t *transition) joinedAt(c Connection) time.Time {
	if c.JoinedAt.IsZero() {
		return t.at
	}
	return c.JoinedAt.UTC()
}

// newer says whether a connection is later than the current one by the provider's clock, as two
// webhooks are compared.
func (t *transition) newer(p *Participant, c Connection) bool {
	return p.SID == "" || later(t.joinedAt(c), c.SID, p.JoinedAt, p.SID)
}

// arrive shows a participant whose current connection is in the room. A participant who is shown
// has only changed connections; that is no event, unless they were lost. A removed member, who
// comes with a token from before, is not shown, and not any longer where they were.
func (t *transition) arrive(p *Participant) {
	if !t.mayStay(p) {
		if p.Shown() {
			t.leaveNow(p, events.LeaveParticipantRemoved)
		}
		return
	}
	p.Unanswered = false
	switch {
	case p.Presence == Present || p.Presence == Replaced:
		p.Presence, p.Grace = Present, GracePeriod{}
	case t.s.over():
		return // Never shown: the room is about to be deleted.
	case p.Presence == Reconnecting:
		t.nextEpisode(p)
		p.Presence, p.Grace = Present, GracePeriod{}
		t.emitParticipantReconnected(*p)
	default:
		t.nextEpisode(p)
		p.Presence = Present
		if t.s.ConnectedAt.IsZero() {
			t.s.ConnectedAt = p.JoinedAt
			t.emitConnected(*p)
		}
		t.emitJoined(*p)
	}
	t.s.UnattendedSince = time.Time{}
	t.changed = true
	t.publishAwaiting(p)
}

// noteEnd remembers that the end of a connection was told.
func (t *transition) noteEnd(p *Participant, sid string) {
	p.Ended = remember(p.Ended, sid)
	p.keepTracks(func(track Track) bool { return track.Awaits != sid })
	t.changed = true
}

// endConnection ends the current connection, as was told. What was inferred of its end gives way to
// that.
func (t *transition) endConnection(p *Participant, reason events.LeaveReason) {
	t.noteEnd(p, p.SID)
	departed := departureOf(reason)
	switch {
	case !p.Shown():
	case t.s.over(), departed == orderly:
		t.leaveNow(p, reason)
	case p.Grace.Open():
		t.amendReason(p, reason)
	case departed == replaced:
		p.Presence = Replaced
		p.Grace = GracePeriod{
			Reason: reason, Leave: InOrder, Evidence: Told, Since: t.lossOf(p), Deadline: t.deadline(),
		}
	default:
		t.openGrace(p, loss{reason: reason, leave: departed.kind(), evidence: Told})
	}
}

// leaveNow ends a participant's episode at once, whatever grace period is open.
func (t *transition) leaveNow(p *Participant, reason events.LeaveReason) {
	at := t.endOf(p)
	if !at.Before(t.s.LastLeftAt) {
		t.s.LastLeftAt, t.s.LastLeft = at, departureOf(reason).kind()
	}
	t.markLeft(p, reason, at, at)
}

// markLeft takes a participant out of the call, who left at a time of which it is known now that it
// was for good.
func (t *transition) markLeft(p *Participant, reason events.LeaveReason, left, at time.Time) {
	t.closeTracks(p, left)
	p.Presence, p.Grace = Absent, GracePeriod{}
	if p.endTold(p.SID) {
		p.keepTracks(func(track Track) bool { return track.Awaits != "" && track.Awaits != p.SID })
	}
	t.emitLeft(*p, reason, left, at)
	t.changed = true
}

// endOf is when the current connection ended: now, but never before what it is known to have done.
func (t *transition) endOf(p *Participant) time.Time {
	at := latest(t.at, p.JoinedAt)
	for _, track := range p.Tracks {
		if track.Awaits == "" {
			at = latest(at, track.PublishedAt)
		}
	}
	return at
}

// loss is how a participant came to be lost.
type loss struct {
	reason   events.LeaveReason
	leave    LeaveKind
	evidence Evidence
	deniedAt time.Time // when the provider was asked and said that they aren't there; zero where it wasn't
}

// openGrace opens a participant's grace period and shows them as lost. The tracks of the connection
// are gone with it.
func (t *transition) openGrace(p *Participant, l loss) {
	since := t.lossOf(p)
	t.closeTracks(p, since)
	t.nextEpisode(p)
	p.Presence = Reconnecting
	p.Grace = GracePeriod{
		Reason: l.reason, Leave: l.leave, Evidence: l.evidence, Since: since, Deadline: t.deadline(), DeniedAt: l.deniedAt,
	}
	t.emitParticipantReconnecting(*p)
	t.changed = true
}

// deadline is the end of the grace periods that open now.
func (t *transition) deadline() time.Time { return instant(t.now.Add(t.policy.Grace)) }

// lossOf is when a connection ended whose participant may come back. The provider's times are in
// whole seconds; of two in the same one, the one told later is later.
func (t *transition) lossOf(p *Participant) time.Time {
	since := t.endOf(p)
	if since.Equal(t.s.LastLeftAt) {
		since = since.Add(time.Microsecond)
	}
	return since
}

// amendReason takes a late webhook about the end of a connection that was inferred before.
func (t *transition) amendReason(p *Participant, reason events.LeaveReason) {
	if p.Grace.Evidence == Told {
		return // The first word counts.
	}
	p.Grace.Reason, p.Grace.Leave = reason, departureOf(reason).kind()
	p.Grace.Evidence, p.Grace.Since = Told, t.lossOf(p)
	t.changed = true
}

// expire ends a grace period for good.
func (t *transition) expire(p *Participant) {
	g := p.Grace
	if g.Since.After(t.s.LastLeftAt) {
		t.s.LastLeftAt, t.s.LastLeft = g.Since, g.Leave
	}
	t.markLeft(p, g.outcome(), g.Since, latest(t.now, g.Since))
}

// lose infers that the current connection of a participant has ended.
func (t *transition) lose(p *Participant, leave LeaveKind, deniedAt time.Time) {
	if t.s.over() {
		t.leaveNow(p, events.LeaveUnknown)
		return
	}
	t.openGrace(p, loss{reason: events.LeaveUnknown, leave: leave, evidence: Inferred, deniedAt: deniedAt})
}
