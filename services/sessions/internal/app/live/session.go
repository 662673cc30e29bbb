package live

import (
	"context"
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// FollowSession opens streams of one session's log.
type FollowSession struct {
	Hub     *Hub
	Journal ports.Journal
	Clock   ports.Clock
}

// SessionRequest says what of a session's log is sent.
type SessionRequest struct {
	SessionID string
	After     string        // the id of an event; "" for the log's beginning
	Types     []events.Type // only these; none: all
}

// SessionStream is the log of a session from a place on. It is for one goroutine.
type SessionStream struct {
	pacing
	journal ports.Journal
	watch   *watch
	caller  domain.Principal
	request SessionRequest
	seq     int64 // up to here everything was sent
	joined  int64 // the log's end when the caller was seen to be a member
}

// Open begins a stream; it is to be closed. Errors: domain.ErrNotFound, *ports.WatermarkGoneError, ErrTooManyStreams, ErrDraining,
// ports.ErrUnavailable.
func (uc FollowSession) Open(ctx context.Context, caller domain.Principal, request SessionRequest) (*SessionStream, error) {
	paced, err := uc.Hub.open(caller, uc.Clock.Now(), make(chan struct{}, 1))
	if err != nil {
		return nil, err
	}
	s := &SessionStream{pacing: paced, journal: uc.Journal, caller: caller, request: request}
	// Watched before the log is looked at: what is added in between is told.
	watched, stop := uc.Hub.watch(request.SessionID, s.signal)
	s.watch, s.close = watched, append(s.close, stop)
	place, err := uc.Journal.Locate(ctx, ports.ViewerOf(caller), request.SessionID, request.After)
	if err != nil {
		s.Close()
		return nil, err
	}
	s.seq, s.joined = place.Seq, place.Last
	watched.reaches(place.Last)
	return s, nil
}

// Next waits for what comes next and returns it, in order; nothing where it was silent for HeartbeatEvery. The error says why the stream
// ends: ErrDraining, ErrExpired, ErrRemoved, ErrDeleted, or that of the context.
func (s *SessionStream) Next(ctx context.Context) ([]Message, error) {
	silence := time.Now().Add(HeartbeatEvery)
	for {
		if err := s.ended(ctx); err != nil {
			return nil, err
		}
		if !time.Now().Before(silence) {
			return nil, nil // whatever it was that is not for the caller
		}
		entries, behind, gone := s.watch.after(s.seq)
		switch {
		case gone:
			return nil, ErrDeleted
		case behind:
			var err error
			if entries, err = s.journal.Read(ctx, s.request.SessionID, s.seq, pageSize); err != nil {
				if err = s.failedRead(ctx, err); err != nil {
					return nil, err
				}
				continue
			}
		case len(entries) == 0:
			s.wait(ctx, silence)
			continue
		}
		if behind && len(entries) == 0 {
			return nil, ErrDeleted // it ends before it did
		}
		if messages := s.pass(entries); len(messages) > 0 || s.over != nil {
			return messages, nil //nolint:nilerr // Why it is over is said with the next call.
		}
	}
}

// pass returns what of the entries is for the caller, up to the end of their membership.
func (s *SessionStream) pass(entries []ports.Logged) []Message {
	messages := make([]Message, 0, len(entries))
	for _, entry := range entries {
		s.seq = entry.Seq
		removed := entry.Member == s.caller.UserID && entry.Seq > s.joined && !s.caller.SeesAll()
		if removed || s.wanted(entry.Type) {
			messages = append(messages, Message{ID: entry.EventID, Type: string(entry.Type), Data: entry.JSON})
		}
		if removed {
			s.over = ErrRemoved
			break
		}
	}
	return messages
}

func (s *SessionStream) wanted(t events.Type) bool {
	return (len(s.request.Types) == 0 || slices.Contains(s.request.Types, t)) && !hidden(s.caller, t)
}
