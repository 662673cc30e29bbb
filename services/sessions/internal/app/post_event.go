package app

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// PostEvent takes in what a service says of a call, in its own name.
type PostEvent struct {
	Store    ports.SessionStore
	Clock    ports.Clock
	IDs      ports.IDs
	Keys     ports.IdempotencyStore // for DoOnce; it works on the same sessions as Store
	Counters ports.Counters
}

// PostedEvent is an event as its service gives it. Who says it is the caller.
type PostedEvent struct {
	EventID   string // UUID, lower case; "": it gets one
	Timestamp string // RFC 3339, UTC; "": now, or where the event is a repeat, then
	Type      events.Type
	Payload   json.RawMessage
	Version   string // of the type's contract; "": the one that this build emits, or where the event is a repeat, that one's
}

// Logged is an event as the log holds it.
type Logged struct {
	JSON json.RawMessage // the whole envelope
	New  bool            // it was not there before
}

// DoOnce is Do for a request with a key: the response of a repeat is the first one's, and replayed is true. Whether the caller may make the
// request at all is asked each time. Errors: those of Do, ports.ErrIdempotencyInProgress, ports.ErrIdempotencyKeyReused.
func (uc PostEvent) DoOnce(
	ctx context.Context, caller domain.Principal, sessionID string, event PostedEvent, once Idempotency[Logged],
) (response ports.Response, replayed bool, err error) {
	if err := uc.authorize(ctx, caller, sessionID, event.Type); err != nil {
		return ports.Response{}, false, err
	}
	var logged Logged
	response, replayed, err = uc.Keys.Once(ctx, once.requestOf(caller, uc.Clock.Now()), func(store ports.SessionStore) (ports.Response, error) {
		uc.Store = store
		var err error
		if logged, err = uc.post(ctx, caller, sessionID, event); err != nil {
			return ports.Response{}, err
		}
		return once.Respond(logged)
	})
	if err == nil && !replayed {
		uc.count(logged)
	}
	return response, replayed, err
}

// Do appends the event to the session's log and publishes it, in one transaction; an event that the log has already, it only returns.
// Errors: domain.ErrNotFound, domain.ErrForbidden, *events.InvalidReportError, domain.ErrEventIDConflict, ports.ErrUnavailable.
func (uc PostEvent) Do(ctx context.Context, caller domain.Principal, sessionID string, event PostedEvent) (Logged, error) {
	if err := uc.authorize(ctx, caller, sessionID, event.Type); err != nil {
		return Logged{}, err
	}
	logged, err := uc.post(ctx, caller, sessionID, event)
	if err != nil {
		return Logged{}, err
	}
	uc.count(logged)
	return logged, nil
}

// authorize holds the caller to their scopes. Who may post nothing learns of sessions only what they may read.
func (uc PostEvent) authorize(ctx context.Context, caller domain.Principal, sessionID string, t events.Type) error {
	if caller.MayPost(t) {
		return nil
	}
	viewer := ports.ViewerOf(caller)
	viewer.All = viewer.All || caller.Posts()
	if _, err := uc.Store.Get(ctx, viewer, sessionID); err != nil {
		return err
	}
	return fmt.Errorf("posting %s: %w", t, domain.ErrForbidden)
}

func (uc PostEvent) post(ctx context.Context, caller domain.Principal, sessionID string, event PostedEvent) (Logged, error) {
	id := event.EventID
	if id == "" {
		var err error
		if id, err = uc.IDs.NewID(); err != nil {
			return Logged{}, fmt.Errorf("posting an event: %w", err)
		}
	}
	report := events.Report{
		EventID: id, SessionID: sessionID, Type: event.Type, Actor: caller.Actor(), Payload: event.Payload, Version: event.Version,
		Timestamp: cmp.Or(event.Timestamp, events.Timestamp(uc.Clock.Now().Truncate(time.Microsecond))),
	}
	sealed, err := events.SealReport(report)
	if err != nil {
		return Logged{}, err
	}
	said := events.Accepted{Envelope: sealed.Envelope(), Raw: sealed.JSON(), Digest: sealed.Digest()}
	known := false
	err = uc.Store.Take(ctx, said, func(session *domain.Session, logged *domain.Digest) (ports.Intake, error) {
		if session == nil {
			return ports.Intake{}, domain.ErrNotFound
		}
		if known = logged != nil; known {
			return ports.Intake{}, nil
		}
		now := uc.Clock.Now()
		if verdict := session.Observe(said, nil, now); verdict.Decision != domain.Append {
			return ports.Intake{}, fmt.Errorf("posting %s: it is set aside (%s): %s", said.Type, verdict.Reason, verdict.Detail)
		}
		entry := ports.Entry{Event: said.Envelope, JSON: said.Raw, Digest: said.Digest, AppendedAt: now, Publish: true}
		return ports.Intake{Entries: []ports.Entry{entry}}, nil
	})
	if err != nil {
		return Logged{}, err
	}
	if known {
		return uc.repeat(ctx, event, report)
	}
	return Logged{JSON: said.Raw, New: true}, nil
}

// repeat returns the event that the log holds under the id of the report, where it is the same.
func (uc PostEvent) repeat(ctx context.Context, event PostedEvent, report events.Report) (Logged, error) {
	logged, err := uc.Store.Event(ctx, report.SessionID, report.EventID)
	if err != nil {
		return Logged{}, err
	}
	var had events.Envelope
	if err := json.Unmarshal(logged, &had); err != nil {
		return Logged{}, fmt.Errorf("reading event %s of session %s: %w", report.EventID, report.SessionID, err)
	}
	digest, err := events.DigestOf(logged)
	if err != nil {
		return Logged{}, fmt.Errorf("reading event %s of session %s: %w", report.EventID, report.SessionID, err)
	}
	report.Timestamp = cmp.Or(event.Timestamp, had.Timestamp)
	report.Version = cmp.Or(event.Version, had.Version)
	again, err := events.SealReport(report)
	if err != nil || again.Digest() != digest {
		return Logged{}, domain.ErrEventIDConflict
	}
	return Logged{JSON: logged}, nil
}

func (uc PostEvent) count(logged Logged) {
	decision := decidedDuplicate
	if logged.New {
		decision = decidedAppended
	}
	uc.Counters.EventTaken(decision, "")
}
