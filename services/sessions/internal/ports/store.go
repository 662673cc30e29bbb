// Package ports says what the use cases need from outside, in the service's own words, and which errors they get. Every adapter of the
// store passes the suites of portstest.
package ports

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

// ErrUnavailable says that something the service needs is away. Nothing is known to have happened; the same call may be made again.
var ErrUnavailable = errors.New("temporarily unavailable")

// Viewer is for whom a store looks. What it must not see does not exist for it.
type Viewer struct {
	UserID string // sees the sessions that they are a member of, and the events in them that members are shown
	All    bool   // sees every session and event
}

// Shown says whether the viewer is shown events of this type.
func (v Viewer) Shown(t events.Type) bool { return v.All || domain.ShownToMembers(t) }

// System sees every session.
func System() Viewer { return Viewer{All: true} }

// ViewerOf returns the viewer that a principal is.
func ViewerOf(p domain.Principal) Viewer { return Viewer{UserID: p.UserID, All: p.SeesAll()} }

// Entry is one event on its way into a session's log.
type Entry struct {
	Event      events.Envelope
	JSON       json.RawMessage // the whole envelope as it is stored and replayed
	Digest     domain.Digest
	AppendedAt time.Time
	Publish    bool // it begins here, so it goes to the outbox too, in the same transaction
}

// Quarantined is an event that was set aside, with the reason; it is in neither log nor dead letter.
type Quarantined struct {
	Event  events.Accepted
	Reason domain.QuarantineReason
	Detail string
	At     time.Time
}

// Intake is what becomes of an event that came in: entries for the log, or a quarantined event, or neither.
type Intake struct {
	Entries     []Entry
	Quarantined *Quarantined
}

// View is a session as it was at one moment.
type View struct {
	Session     *domain.Session
	LastEventID string // of its log at that moment: a watermark to go on from with no gap
}

// PageRequest asks for events of a log after a watermark.
type PageRequest struct {
	After string        // an event id (lower-case UUID), "" for the beginning
	Limit int           // at least 1
	Types []events.Type // only these; none: all
}

// Page is a part of a log, in order.
type Page struct {
	Items       []json.RawMessage // whole envelopes, as they were stored
	LastEventID string            // the watermark to go on from; it passes over events that were not asked for or are not shown
	HasMore     bool
}

// WatermarkGoneError says that the log does not hold the event that a page should begin after.
type WatermarkGoneError struct{ Earliest string } // the id of the log's first event

func (e *WatermarkGoneError) Error() string {
	return fmt.Sprintf("the log does not hold this event; it begins with %s", e.Earliest)
}

// SessionStore keeps sessions with their logs. State, log and outbox change together or not at all, with the session locked, so that the
// order of a log is the order of its commits. Every method may return ErrUnavailable. Errors of functions that are given in are returned
// as they are, and nothing is changed. Such a function may be called more than once and must have no effect of its own. Safe for
// concurrent use.
type SessionStore interface {
	// Create adds a new session with the beginning of its log.
	Create(ctx context.Context, session *domain.Session, log []Entry) (View, error)

	// Get returns the session at one moment, or domain.ErrNotFound where the viewer sees none.
	Get(ctx context.Context, viewer Viewer, id string) (View, error)

	// List returns sessions of a user, each as it is at one moment, the one created last first.
	List(ctx context.Context, request ListRequest) (SessionList, error)

	// Update lets change work on the locked session and saves what it made, with the entries it returns; with none, nothing is saved.
	// domain.ErrNotFound where the viewer sees no such session.
	Update(ctx context.Context, viewer Viewer, id string, change func(*domain.Session) ([]Entry, error)) (View, error)

	// Take lets decide look at the session, nil where there is none, and at the content that its log holds under the event's id, nil where it
	// holds none; and saves what it decides, where nothing of that has changed by then. Otherwise decide looks again.
	Take(ctx context.Context, event events.Accepted, decide func(session *domain.Session, logged *domain.Digest) (Intake, error)) error

	// Event returns the whole envelope that a session's log holds under an id, or domain.ErrEventNotFound, also where there is no session.
	Event(ctx context.Context, id, eventID string) (json.RawMessage, error)

	// Events returns a page of a session's log, of what the viewer is shown. domain.ErrNotFound where the viewer sees no such session;
	// *WatermarkGoneError where the log does not hold the watermark, which may be an event that the viewer is not shown.
	Events(ctx context.Context, viewer Viewer, id string, request PageRequest) (Page, error)
}
