package domain

import (
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// Parting is how somebody left the call who did not come back.
type Parting string

// The ways of leaving.
const (
	InOrder  Parting = "in_order" // on purpose, or nobody knows otherwise
	Lost     Parting = "lost"     // without anybody wanting it
	Vanished Parting = "vanished" // together with their room
)

// Window is the time in which somebody may come back who left neither on purpose nor for good.
type Window struct {
	Reason   events.LeaveReason // why the connection ended, unknown where that was not told
	Parting  Parting            // how they left, should they not come back
	Told     bool               // the provider told the connection's end; otherwise only its absence was seen
	Since    time.Time          // when the connection ended
	Deadline time.Time          // when nobody waits any longer
}

// Open says whether there is a window.
func (w Window) Open() bool { return !w.Deadline.IsZero() }

// outcome is the reason to leave of whoever did not come back.
func (w Window) outcome() events.LeaveReason {
	if w.Parting == InOrder {
		return w.Reason
	}
	return events.LeaveReconnectTimeout
}

// loss is how somebody came to be missed.
type loss struct {
	reason  events.LeaveReason
	parting Parting
	told    bool
}

// What is seen, but not told.
var (
	unseen   = loss{reason: events.LeaveUnknown, parting: InOrder}
	vanished = loss{reason: events.LeaveUnknown, parting: Vanished}
)

// lose opens a participant's window and shows them as lost. The tracks of the connection are gone with it.
func (a *application) lose(p *Participant, l loss) {
	since := a.lossOf(p)
	a.closeTracks(p, since)
	a.s.Episode++
	p.Presence, p.Episode = Reconnecting, a.s.Episode
	p.Window = Window{Reason: l.reason, Parting: l.parting, Told: l.told, Since: since, Deadline: a.deadline}
	a.emitParticipantReconnecting(*p)
	a.changed = true
}

// lossOf is when a connection ended whose participant may come back. The provider's times are in whole seconds; of two in the same one,
// the one told later is later.
func (a *application) lossOf(p *Participant) time.Time {
	since := a.endOf(p)
	if since.Equal(a.s.LastLeftAt) {
		since = since.Add(time.Microsecond)
	}
	return since
}

// loseEverybody opens the window of everybody who is present. Where the call is over there is nobody to wait for.
func (a *application) loseEverybody(l loss) {
	if a.s.over() {
		return
	}
	for _, identity := range a.shown() {
		if a.s.Participants[identity].Presence == Present {
			a.with(identity, func(p *Participant) { a.lose(p, l) })
		}
	}
	a.settle()
}

// explain takes what the provider tells late of a connection that was missed already.
func (a *application) explain(p *Participant, reason events.LeaveReason) {
	p.Window.Reason, p.Window.Told, p.Window.Since = reason, true, a.lossOf(p)
	p.Window.Parting = InOrder
	if departureOf(reason) == lost {
		p.Window.Parting = Lost
	}
	a.changed = true
}

// comeBack closes the window of somebody who was lost.
func (a *application) comeBack(p *Participant) {
	a.s.Episode++
	p.Presence, p.Episode, p.Window = Present, a.s.Episode, Window{}
	a.emitParticipantReconnected(*p)
	a.changed = true
}

// expire ends a window for good.
func (a *application) expire(p *Participant) {
	w := p.Window
	if w.Since.After(a.s.LastLeftAt) {
		a.s.LastLeftAt, a.s.LastLeft = w.Since, w.Parting
	}
	a.part(p, w.outcome(), w.Since, latest(a.at, w.Since))
}

// settle tells what the participants' presence means for the call: whether anybody is there, is waited for, or it is over. Somebody
// whose connection was replaced is there.
func (a *application) settle() {
	if a.s.ConnectedAt.IsZero() || !a.s.DisconnectedAt.IsZero() {
		return
	}
	there, waiting := a.s.attendance()
	switch {
	case !there && waiting.IsZero() && a.s.Room.Phase == PhaseFinished:
		a.disconnect()
	case a.s.Final:
	case there && a.s.Interrupted:
		a.s.Interrupted = false
		a.emitReconnected(a.now())
		a.changed = true
	case !there && !waiting.IsZero() && !a.s.Interrupted:
		a.s.Interrupted = true
		a.emitReconnecting(a.now(), waiting)
		a.changed = true
	}
}

// attendance says whether anybody is there, and until when somebody is waited for; zero where nobody is.
func (s State) attendance() (there bool, waiting time.Time) {
	for _, p := range s.Participants {
		switch p.Presence {
		case Present, Replaced:
			there = true
		case Reconnecting:
			waiting = latest(waiting, p.Window.Deadline)
		case Absent:
		}
	}
	return there, waiting
}

// now is the time of what follows from the events so far.
func (a *application) now() time.Time {
	if len(a.events) == 0 {
		return a.at
	}
	return latest(a.at, a.events[len(a.events)-1].Timestamp)
}

func (a *application) disconnect() {
	reason := events.DisconnectCompleted
	switch a.s.LastLeft {
	case Lost:
		reason = events.DisconnectReconnectTimeout
	case Vanished:
		reason = events.DisconnectProviderFailure
	case InOrder:
	}
	a.s.DisconnectedAt = latest(a.now(), a.s.ConnectedAt, a.s.LastLeftAt)
	a.emitDisconnected(reason)
	a.changed = true
}
