package ports

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// Logged is an event where it stands in its session's log.
type Logged struct {
	Seq      int64 // 1 for the first; a log has no gaps
	EventID  string
	Type     events.Type
	Member   string    // whose membership it ends: of call.member.removed the user, otherwise ""
	LoggedAt time.Time // by the store's clock; it grows with Seq
	JSON     json.RawMessage
}

// Appended is what one commit added to a session's log.
type Appended struct {
	SessionID string
	Users     []string // whose stream it belongs to: the members after the commit, and those whom it removed
	Entries   []Logged // in order, without gaps
}

// Concerned returns whose stream a change belongs to, by the members before and after it.
func Concerned(before, after []events.Member) []string {
	users := make([]string, 0, len(after))
	for _, m := range after {
		users = append(users, m.UserID)
	}
	for _, m := range before {
		if !slices.ContainsFunc(after, func(a events.Member) bool { return a.UserID == m.UserID }) {
			users = append(users, m.UserID)
		}
	}
	return users
}

// First returns the Seq of its first entry.
func (a Appended) First() int64 { return a.Entries[0].Seq }

// Last returns the Seq of its last entry.
func (a Appended) Last() int64 { return a.Entries[len(a.Entries)-1].Seq }

// Place is where a log is followed from.
type Place struct {
	Seq  int64 // of the watermark; 0 before the first event
	Last int64 // of the log's last event at that moment
}

// Journal is the sessions' logs for those who follow them. Its methods may return ErrUnavailable. Safe for concurrent use.
type Journal interface {
	// Locate finds the event with the id after ("" for the log's beginning). domain.ErrNotFound where the viewer sees no such session;
	// *WatermarkGoneError where the log does not hold the event.
	Locate(ctx context.Context, viewer Viewer, sessionID, after string) (Place, error)

	// Read returns at most limit entries behind a place in a log, in order; none where the log ends there, or the session is gone.
	Read(ctx context.Context, sessionID string, after int64, limit int) ([]Logged, error)

	// Ends returns the Seq of the last event of these sessions' logs. Sessions that are gone are left out.
	Ends(ctx context.Context, sessionIDs []string) (map[string]int64, error)

	// ReadUser returns what is logged in all of a user's sessions while they are a member, the event that ends their membership included.
	ReadUser(ctx context.Context, request UserRequest) (UserPage, error)

	// UserEnds returns for each of these users in which of their sessions something was logged since then, and up to which Seq it is theirs.
	UserEnds(ctx context.Context, users []string, since time.Time) (UserEnds, error)

	// Now tells the time by the store's clock, which LoggedAt is of.
	Now(ctx context.Context) (time.Time, error)
}

// UserRequest asks for a part of what is logged in a user's sessions.
type UserRequest struct {
	UserID string
	Since  time.Time        // only what was logged later than this
	Seen   map[string]int64 // by session: only what has a higher Seq
	Limit  int              // at least 1
}

// UserEntry is an event of one of a user's sessions.
type UserEntry struct {
	SessionID string
	Logged
}

// UserPage is a part of what is logged in a user's sessions, seen at one moment.
type UserPage struct {
	Items []UserEntry // in the order of LoggedAt, and of Seq within a session
	AsOf  time.Time   // the moment, by the store's clock
	More  bool        // there were more than the limit
}

// UserEnds is where users' sessions ended at one moment.
type UserEnds struct {
	Ends map[string]map[string]int64 // by user, then session
	AsOf time.Time                   // the moment, by the store's clock
}

// LongestTransaction bounds the time from an event's LoggedAt to the moment when everybody sees it: no transaction of the store lasts longer.
const LongestTransaction = 15 * time.Second

// Hint tells other replicas that a session's log has grown. It may be lost.
type Hint struct {
	SessionID string
	First     int64 // Seq
	Last      int64 // Seq
	Users     []string
}

// Hints carries hints to the other replicas. Safe for concurrent use.
type Hints interface {
	// Send passes a hint on, or loses it. It does not wait.
	Send(hint Hint)
}
