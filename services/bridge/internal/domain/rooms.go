package domain

import (
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// takeRoom makes another room the current one. Participants who were shown in the room before have
// lost it without a word: the server was killed, and they may be back soon.
func (t *transition) takeRoom(r RoomRef, how Evidence) {
	t.loseEverybody(Vanished, time.Time{})
	room := &t.s.Room
	room.Phase, room.Evidence, room.SID, room.CreatedAt = PhaseOpen, how, r.SID, r.CreatedAt.UTC()
	room.FinishedAt = time.Time{}
	if r.CreatedAt.IsZero() {
		room.CreatedAt = time.Time{}
	}
	if room.FirstSID == "" {
		room.FirstSID = r.SID
	}
	t.s.UnattendedSince = time.Time{}
	t.changed = true
}

// learnCreation notes when the current room was made, where that wasn't known.
func (t *transition) learnCreation(r RoomRef) {
	if room := &t.s.Room; room.CreatedAt.IsZero() && !r.CreatedAt.IsZero() {
		room.CreatedAt = r.CreatedAt.UTC()
		t.changed = true
	}
}

// reopen takes back that the room is finished. The participants come back by evidence of their own.
func (t *transition) reopen(how Evidence) {
	room := &t.s.Room
	room.Phase, room.Evidence = PhaseOpen, how
	if room.Finished = slices.DeleteFunc(room.Finished, func(sid string) bool { return sid == room.SID }); len(room.Finished) == 0 {
		room.Finished = nil
	}
	t.s.UnattendedSince = time.Time{}
	t.changed = true
}

// finishTold closes the room, as was told. A finish that was inferred before is known for certain
// now.
func (t *transition) finishTold() {
	room := &t.s.Room
	if room.Phase == PhaseOpen {
		t.close(InOrder, time.Time{})
	}
	room.Evidence, room.FinishedAt = Told, t.at
	room.Finished = remember(room.Finished, room.SID)
	t.changed = true
}

// finishInferred closes the room that the provider doesn't have any more. deniedAt is when it said,
// on being asked, that none of those who are present is there; zero where none is.
func (t *transition) finishInferred(leave LeaveKind, deniedAt time.Time) {
	t.close(leave, deniedAt)
	t.s.Room.Evidence = Inferred
}

func (t *transition) close(leave LeaveKind, deniedAt time.Time) {
	t.loseEverybody(leave, deniedAt)
	t.s.Room.Phase = PhaseFinished
	t.s.UnattendedSince = time.Time{}
	t.changed = true
	if !t.s.over() {
		return
	}
	for _, identity := range t.shown() {
		t.with(identity, func(p *Participant) { t.leaveNow(p, events.LeaveRoomClosed) })
	}
}

// loseEverybody opens the grace period of every participant who is present. A call that is over
// waits for none.
func (t *transition) loseEverybody(leave LeaveKind, deniedAt time.Time) {
	if t.s.over() {
		return
	}
	for _, identity := range t.shown() {
		if t.s.Participants[identity].Presence == Present {
			t.with(identity, func(p *Participant) { t.lose(p, leave, deniedAt) })
		}
	}
	t.settle()
}
