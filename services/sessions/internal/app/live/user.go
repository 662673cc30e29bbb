package live

import (
	"context"
	"fmt"
	"time"

	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// TypeReady is the type of the message that a stream begins with which was opened without a cursor.
const TypeReady = "ready"

// FollowUser opens streams of all of a user's sessions.
type FollowUser struct {
	Hub     *Hub
	Journal ports.Journal
	Cursors app.EventCursors
	Clock   ports.Clock
}

// UserStream is what is logged in a user's sessions from a moment on. It is for one goroutine; while that one waits, sweeps move its cursor.
//
// Its cursor is a moment by the store's clock. Whatever has not been sent was logged less than overlap before it, or later; and where the
// log is not to be read, everything that everybody saw at that moment has been sent.
type UserStream struct {
	pacing
	journal ports.Journal
	cursors app.EventCursor
	caller  domain.Principal
	box     *inbox
	cursor  time.Time
	sealed  string          // the cursor, "" where it has moved since
	seen    map[string]mark // by session; of others nothing was logged after cursor-2*overlap
	behind  bool            // the log is to be read
	ready   bool            // the first message is still to be sent
}

// mark is how far a session's log was sent.
type mark struct {
	seq int64
	at  time.Time // LoggedAt
}

// Open begins a stream behind a cursor, or now where it is "". It is to be closed. Errors: app.ErrInvalidCursor,
// ErrTooManyStreams, ErrDraining, ports.ErrUnavailable.
func (uc FollowUser) Open(ctx context.Context, caller domain.Principal, cursor string) (*UserStream, error) {
	cursors, err := uc.Cursors.Of(ctx, caller.UserID)
	if err != nil {
		return nil, err
	}
	s := &UserStream{journal: uc.Journal, cursors: cursors, caller: caller, box: newInbox(), seen: map[string]mark{}}
	if cursor != "" {
		if s.cursor, err = cursors.Open(cursor); err != nil {
			return nil, err
		}
		s.behind = true
	}
	if s.pacing, err = uc.Hub.open(caller, uc.Clock.Now(), s.box.signal); err != nil {
		return nil, err
	}
	// From here on it is told what happens; so what is read next leaves no gap.
	s.close = append(s.close, uc.Hub.receive(caller.UserID, s.box))
	if cursor == "" {
		if err := s.beginNow(ctx); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// beginNow notes where the user's sessions end. What was logged before and is committed later comes behind that.
func (s *UserStream) beginNow(ctx context.Context) error {
	now, err := s.journal.Now(ctx)
	if err != nil {
		return fmt.Errorf("begin a stream: %w", err)
	}
	found, err := s.journal.UserEnds(ctx, []string{s.caller.UserID}, now.Add(-2*overlap))
	if err != nil {
		return fmt.Errorf("begin a stream: %w", err)
	}
	for id, end := range found.Ends[s.caller.UserID] {
		s.seen[id] = mark{end, found.AsOf}
	}
	s.cursor, s.ready = found.AsOf, true
	return nil
}

// Next waits for what comes next and returns it; nothing where it was silent for HeartbeatEvery. The error says why the stream ends:
// ErrDraining, ErrExpired, or that of the context.
func (s *UserStream) Next(ctx context.Context) ([]Message, error) {
	silence := time.Now().Add(HeartbeatEvery)
	for {
		if err := s.ended(ctx); err != nil {
			return nil, err
		}
		if !time.Now().Before(silence) {
			return nil, nil // whatever it was that is not for the caller
		}
		if s.ready {
			s.ready = false
			return []Message{{ID: s.id(), Type: TypeReady, Data: []byte("{}")}}, nil
		}
		messages, err := s.pending(ctx)
		if err != nil {
			if err = s.failedRead(ctx, err); err != nil {
				return nil, err
			}
			continue
		}
		if len(messages) > 0 {
			return messages, nil
		}
		if !s.behind && s.box.rest(s) {
			s.wait(ctx, silence)
			s.box.rise()
		}
	}
}

// pending returns what can be sent now. Where tidings don't join what was sent, the log is read.
func (s *UserStream) pending(ctx context.Context) ([]Message, error) {
	if s.behind {
		return s.read(ctx)
	}
	tidings, missed := s.box.take()
	s.behind = missed
	var messages []Message
	for _, t := range tidings {
		if s.behind {
			break // the log has what the others tell of
		}
		if t.sweep != nil {
			s.compare(*t.sweep)
			continue
		}
		messages = append(messages, s.join(t.added)...)
	}
	return messages, nil
}

// join returns the messages of a commit where it joins what was sent.
func (s *UserStream) join(added ports.Appended) []Message {
	last, known := s.seen[added.SessionID]
	first := added.Entries[0]
	switch {
	case known && first.Seq > last.seq+1,
		!known && (first.Seq != 1 || !first.LoggedAt.After(s.cursor.Add(-overlap))):
		s.behind = true
		return nil
	}
	var messages []Message
	for _, entry := range added.Entries {
		if entry.Seq <= last.seq {
			continue
		}
		messages = s.appendTo(messages, entry)
		s.seen[added.SessionID] = mark{entry.Seq, entry.LoggedAt}
		if entry.Member == s.caller.UserID {
			break // the rest is not theirs
		}
	}
	return messages
}

// compare holds what was sent to what a sweep found.
func (s *UserStream) compare(found sweepFound) {
	if found.asOf.Before(s.cursor) {
		return
	}
	if found.since.After(s.cursor.Add(-ports.LongestTransaction)) {
		s.behind = true // it does not go back far enough for this stream
		return
	}
	for id, end := range found.ends {
		if s.seen[id].seq < end {
			s.behind = true
			return
		}
	}
	s.advance(found.asOf)
}

// read returns a page of what has not been sent. It takes everything in that the store shows at that moment, so the inbox may be emptied
// before, never after.
func (s *UserStream) read(ctx context.Context) ([]Message, error) {
	s.box.take()
	seen := make(map[string]int64, len(s.seen))
	for id, last := range s.seen {
		seen[id] = last.seq
	}
	page, err := s.journal.ReadUser(ctx, ports.UserRequest{
		UserID: s.caller.UserID, Since: s.cursor.Add(-overlap), Seen: seen, Limit: pageSize,
	})
	if err != nil {
		return nil, err
	}
	var messages []Message
	for i, entry := range page.Items {
		s.advance(reached(page, i))
		messages = s.appendTo(messages, entry.Logged)
		s.seen[entry.SessionID] = mark{entry.Seq, entry.LoggedAt}
	}
	if s.behind = page.More; !page.More {
		s.advance(page.AsOf)
	}
	return messages, nil
}

// reached returns where the cursor may stand when the entries of a page were sent up to the one in place last: what comes behind it in the page
// was logged later than overlap before that, and so was what only appears after AsOf. A client that is cut off again and again before it has
// read an overlap's worth of events gets on by this.
func reached(page ports.UserPage, last int) time.Time {
	at := page.Items[last].LoggedAt
	next := last + 1
	if next < len(page.Items) && page.Items[next].LoggedAt.Equal(at) || next == len(page.Items) && page.More {
		at = at.Add(-time.Microsecond) // The next one may be of the same moment.
	}
	if at = at.Add(overlap); at.After(page.AsOf) {
		return page.AsOf
	}
	return at
}

// advance moves the cursor, and forgets the sessions in which nothing was logged that a sweep or a page could show again.
func (s *UserStream) advance(moment time.Time) {
	if !moment.After(s.cursor) {
		return
	}
	s.cursor, s.sealed = moment, ""
	for id, last := range s.seen {
		if last.at.Before(moment.Add(-2 * overlap)) {
			delete(s.seen, id)
		}
	}
}

// appendTo adds the message of an entry, where it is not kept from the caller.
func (s *UserStream) appendTo(messages []Message, entry ports.Logged) []Message {
	if hidden(s.caller, entry.Type) {
		return messages
	}
	return append(messages, Message{ID: s.id(), Type: string(entry.Type), Data: entry.JSON})
}

// id returns the cursor, sealed.
func (s *UserStream) id() string {
	if s.sealed == "" {
		s.sealed = s.cursors.Seal(s.cursor)
	}
	return s.sealed
}
