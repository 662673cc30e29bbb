package postgres

import (
	"context"
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/lastseen"
	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// leftSessions is how many sessions a store remembers; the metadata of each may be 16 KiB.
const leftSessions = 1024

// memory is of sessions by their id. The version is where the log ends: nothing of a session changes without an event. It is the event too
// and not its number alone, since a database that was set back gives numbers again.
type memory = *lastseen.Memory[place, domain.Snapshot]

func newMemory() memory { return lastseen.New[place, domain.Snapshot](leftSessions) }

// place is an event of a log.
type place struct {
	seq     int64
	eventID string
}

// leftSession is a session as a transaction leaves it, and the end that it found the session's log at.
type leftSession struct {
	found, end place
	state      domain.Snapshot
}

func (w wholeRow) end() place { return place{seq: w.Session.LastSeq, eventID: w.Session.LastEventID} }

// takeAsLeft takes an event in where this store remembers the session, where the event does no more than most, and where it turns out that
// nobody has changed the session since: in one statement, and without locking and reading the session first. Otherwise it does nothing and
// returns false, as also where the log has the event.
func (s *Store) takeAsLeft(
	ctx context.Context, event events.Accepted, decide func(*domain.Session, *domain.Digest) (ports.Intake, error),
) (taken bool, err error) {
	if s.joined != nil {
		return false, nil
	}
	found, state, known := s.left.Recall(event.SessionID)
	if !known {
		return false, nil
	}
	session, err := domain.Hydrate(state)
	if err != nil {
		return false, err
	}
	intake, err := decide(session, nil) // that the log has no such event, its constraint sees to
	if err != nil || intake.Quarantined != nil || len(intake.Entries) == 0 {
		return false, nil //nolint:nilerr // It is decided again, on the session as it is.
	}
	c := change{before: state, after: session.Snapshot(), lastSeq: found.seq, entries: intake.Entries}
	if !c.small() {
		return false, nil
	}
	tx := &transaction{}
	taken, err = s.saveFound(ctx, tx, found, c)
	switch {
	case taken:
		s.committed(tx)
		return true, nil
	case postgres.IsUniqueViolation(err, ""):
		return false, nil // The log has the event, and what is remembered is none the worse for it.
	}
	s.left.Forget(event.SessionID)
	return false, failed(ctx, "take an event in", err)
}

// small says that the change is nothing but what saveFoundStatement writes.
func (c change) small() bool {
	return !c.ends() && slices.Equal(c.before.Members, c.after.Members) &&
		!slices.ContainsFunc(c.entries, func(e ports.Entry) bool { return e.Publish })
}

// ends says that the session is final with the change.
func (c change) ends() bool { return c.before.EndedAt == nil && c.after.EndedAt != nil }

// saveFound writes a small change where the session's log still ends where it was found to, in a transaction of its own.
func (s *Store) saveFound(ctx context.Context, tx *transaction, found place, c change) (saved bool, err error) {
	args := map[string]any{"found_seq": found.seq, "found_event_id": found.eventID}
	if err := c.mostArguments(args); err != nil {
		return false, err
	}
	var rows []loggedRow
	if err := s.db.WithContext(ctx).Raw(saveFoundStatement, args).Find(&rows).Error; err != nil {
		return false, err
	}
	if len(rows) == 0 {
		return false, nil
	}
	times := make([]time.Time, len(c.entries))
	for _, row := range rows {
		times[row.Seq-c.lastSeq-1] = row.LoggedAt
	}
	tx.left = append(tx.left, leftSession{found: found, end: c.end(), state: c.after})
	if err := tx.noteAppended(c, times); err != nil {
		return false, err
	}
	return true, nil
}
