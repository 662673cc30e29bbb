// Package history is what was seen of Callplane from outside during a run: what its users asked and were answered, what its streams and its
// broker gave, who the provider said was there, and in the end the logs. A run records it, and package checker judges it.
package history

import (
	"encoding/json"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
)

// Kind is what a user asked for.
type Kind string

// The kinds of operations.
const (
	Create Kind = "create"
	Get    Kind = "get"
	Patch  Kind = "patch"
	Post   Kind = "post"
)

// Verdict is what became of an attempt.
type Verdict string

// The verdicts. What came to no answer, or to one that says to try again, may have been done or not.
const (
	Done    Verdict = "done"
	Refused Verdict = "refused"
	Unknown Verdict = "unknown"
)

// Operation is one attempt of a user to do something. Times are since the begin of the run.
type Operation struct {
	Client   string
	Session  string // "" where a creation was not answered
	Kind     Kind
	Key      string // what makes attempts one: an Idempotency-Key, or the id of a posted event; "" where they aren't
	Called   time.Duration
	Returned time.Duration
	Verdict  Verdict
	Code     string // of a refusal, or what went wrong
	Change   Change // what was asked for
	View     View   // the session as it was answered, where it was
	Body     string // the answer to what has a Key, byte by byte
}

// Change is what an attempt asks for; what is empty isn't asked for.
type Change struct {
	Title   string
	Number  int // in the metadata, under "change"; each is given once
	Status  string
	IfMatch int64 // the version wanted; 0: any
}

// View is a session as an answer showed it.
type View struct {
	Version     int64
	Status      string
	Title       string
	Number      int
	LastEventID string
}

// ViewOf reads what matters of a session.
func ViewOf(s callplane.Session) View {
	v := View{Version: s.Version, Status: s.Status}
	if s.Title != nil {
		v.Title = *s.Title
	}
	if s.LastEventID != nil {
		v.LastEventID = *s.LastEventID
	}
	v.Number = NumberIn(s.Metadata)
	return v
}

// NumberIn is the number that Change put into metadata, 0 where there is none.
func NumberIn(metadata json.RawMessage) int {
	var m struct {
		Change int `json:"change"`
	}
	_ = json.Unmarshal(metadata, &m) // What can't be read has none.
	return m.Change
}

// Seen is one event that a consumer was given.
type Seen struct {
	At      time.Duration
	Session string
	EventID string
	Raw     string
}

// Stream is what one consumer was given, over all its connections.
type Stream struct {
	Consumer string
	Session  string // "": all of the consumer's, from before the first was made
	Whole    bool   // it was followed until the end of the run
	Resumed  int    // how many times it was connected again
	Seen     []Seen
}

// Listing is who LiveKit said was fully in its rooms at a moment: the sid of each connection by session and identity.
type Listing struct {
	Asked, Answered time.Time
	Rooms           map[string]map[string]string
}

// Client is when one client of a call was in its room, by its own word.
type Client struct {
	Session  string
	Identity string
	Stays    []Stay
}

// Stay is a time in which a client was in a room by one connection, without a gap.
type Stay struct {
	SID      string
	From, To time.Time
}

// Moment is a session beside who was in its room, when there was time for both to agree.
type Moment struct {
	Session string
	Final   bool              // the session was over
	Shown   map[string]string // presence by identity, of those who have not left
	Present map[string]string // sid by identity, of the clients that were in the room by their own word
	Barred  []string          // identities of clients in the room whose users are no members
	Listed  map[string]string // sid by identity, as LiveKit listed them itself
}

// Setting is how the calls of a session come about.
type Setting string

// The settings.
const (
	Table    Setting = "table"    // nobody but the API's users changes it
	Replayed Setting = "replayed" // webhooks were simulated, and LiveKit knows nothing of the call
	Called   Setting = "called"   // people called
	Calm     Setting = "calm"     // as Table, after the last fault
)

// Session is one that the run has made, as it was in the end.
type Session struct {
	Owner   string
	Setting Setting
	Final   callplane.Session
	Log     []callplane.Event
}

// Fault is something that was broken.
type Fault struct {
	Begin, End time.Duration
	Kind       string
	Target     string
}

// Lane is a lane of a service's outbox.
type Lane struct {
	Service string
	Number  int
}

// History is all of it.
type History struct {
	Began       time.Time
	Sessions    map[string]*Session
	Owned       map[string][]callplane.Session // what each owner's list had in the end
	Operations  []Operation
	Streams     []Stream
	Published   []events.Accepted // in the order of their arrival, repetitions included
	Quarantined map[string]string // reasons by event id
	Listings    []Listing
	Clients     []Client
	Moments     []Moment
	Listed      map[string]map[string]string // who was in which session's room in the end
	Lanes       map[Lane]int                 // how many relays hold each lane, after the last fault
	Contended   map[Lane]time.Duration       // how long a lane was held by more than one relay, at most
	Attempts    int                          // that were needed for one thing, at most
	Longest     time.Duration                // until one thing was answered, over all attempts
	Unanswered  []Operation                  // what a user gave up, however often it was tried
	Verified    string                       // what is wrong by the word of the service's own command; "" where nothing is
	Faults      []Fault
}
