package domain

import (
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// signOfLife is what any evidence does that shows the room alive.
func (t *transition) signOfLife() {
	if t.s.over() {
		t.deleteRoom = true
		return
	}
	if t.s.ConnectingAt.IsZero() {
		t.s.ConnectingAt = t.at
		if !t.s.Room.CreatedAt.IsZero() {
			t.s.ConnectingAt = t.s.Room.CreatedAt
		}
		t.emitConnecting()
		t.changed = true
	}
}

// settle emits what the participants' presence means for the call: whether one is there, one is
// waited for, or it is over. A participant whose connection was replaced is there.
func (t *transition) settle() {
	if t.s.ConnectedAt.IsZero() || !t.s.DisconnectedAt.IsZero() {
		return
	}
	there, waiting := t.s.attendance()
	switch {
	case !there && waiting.IsZero() && t.s.Room.Phase == PhaseFinished:
		t.disconnect()
	case t.s.Final:
	case there && t.s.Interrupted:
		t.s.Interrupted = false
		t.emitReconnected(t.moment())
		t.changed = true
	case !there && !waiting.IsZero() && !t.s.Interrupted:
		t.s.Interrupted = true
		t.emitReconnecting(t.moment(), waiting)
		t.changed = true
	}
}

// attendance says whether a participant is there, and until when one is waited for; zero where none
// is.
func (s State) attendance() (there bool, waiting time.Time) {
	for _, p := range s.Participants {
		switch p.Presence {
		case Present, Replaced:
			there = true
		case Reconnecting:
			waiting = latest(waiting, p.Grace.Deadline)
		case Absent:
		}
	}
	return there, waiting
}

func (t *transition) disconnect() {
	reason := events.DisconnectCompleted
	switch t.s.LastLeft {
	case Lost:
		reason = events.DisconnectReconnectTimeout
	case Vanished:
		reason = events.DisconnectProviderFailure
	case InOrder:
	}
	t.s.DisconnectedAt = latest(t.moment(), t.s.ConnectedAt, t.s.LastLeftAt)
	t.s.LookAt, t.s.UnattendedSince = time.Time{}, time.Time{}
	t.emitDisconnected(reason)
	t.changed = true
}
