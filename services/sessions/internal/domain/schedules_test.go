package domain_test

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

// schedulesDir is the variable of the environment that names the directory into which the bridge's
// simulation has written the journals of its schedules. deployments/systemtest runs both.
const schedulesDir = "CALLPLANE_SCHEDULES"

// entry is one line of a journal: what this service does, in order.
type entry struct {
	Kind      string                     `json:"kind"`
	SessionID string                     `json:"sessionId"`
	OwnerID   string                     `json:"ownerId"`
	Members   []events.Member            `json:"members"`
	User      string                     `json:"user"`
	Role      events.Role                `json:"role"`
	Event     json.RawMessage            `json:"event"`
	Presence  map[string]domain.Presence `json:"presence"` // by identity, as the bridge shows it at the end
	Tracks    map[string][]string        `json:"tracks"`   // sids of the open ones, by identity
}

// TestEveryScheduleOfTheBridgeIsTaken plays what the bridge emitted, and what callers did
// meanwhile: every event is taken, unless the session is final, and the log shows what the bridge's
// mapping shows.
func TestEveryScheduleOfTheBridgeIsTaken(t *testing.T) {
	dir := os.Getenv(schedulesDir)
	if dir == "" {
		t.Skip(schedulesDir + " names no directory with the journals of the bridge's simulation")
	}
	journals, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	require.NoError(t, err)
	require.NotEmpty(t, journals)
	for _, path := range journals {
		play(t, path)
	}
	t.Logf("%d schedules", len(journals))
}

func play(t *testing.T, path string) {
	t.Helper()
	file, err := os.Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, file.Close()) }()
	w := &world{t: t, digests: map[string]domain.Digest{}, now: start}
	shown := false
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var e entry
		require.NoError(t, json.Unmarshal(lines.Bytes(), &e))
		w.play(e, path)
		shown = e.Kind == "shown"
	}
	require.NoError(t, lines.Err())
	require.True(t, shown, "%s ends with what the bridge shows", path)
	w.requireReplays()
}

func (w *world) play(e entry, path string) {
	w.t.Helper()
	w.tick()
	owner := domain.Principal{UserID: e.OwnerID}
	if w.session != nil {
		owner.UserID = w.session.Snapshot().OwnerID
	}
	switch e.Kind {
	case "session":
		session, drafts, err := domain.Create(e.SessionID, domain.Spec{OwnerID: e.OwnerID, Members: e.Members}, owner.Actor(), w.now)
		require.NoError(w.t, err)
		w.session = session
		w.begin(drafts)
	case "event":
		w.takeFromBridge(e.Event, path)
	case "member":
		change, err := w.session.SetMember(owner, events.Member{UserID: e.User, Role: e.Role}, w.now)
		require.NoError(w.t, err)
		w.appendDrafts(change.Drafts)
	case "removed":
		drafts, err := w.session.RemoveMember(owner, e.User, w.now)
		require.NoError(w.t, err)
		w.appendDrafts(drafts)
	case "ended":
		require.NoError(w.t, w.patch(domain.Patch{Status: ptr(events.StatusEnded)}))
	case "shown":
		w.requireShown(e, path)
	default:
		require.Fail(w.t, "unknown entry", "%s in %s", e.Kind, path)
	}
}

// begin logs the creation of a session that is not the one of the other fixtures.
func (w *world) begin(drafts []events.Draft) {
	w.t.Helper()
	for _, draft := range drafts {
		sealed, err := events.Seal(events.DerivedID("schedule", w.session.ID()), w.session.ID(), draft)
		require.NoError(w.t, err)
		w.appendEnvelope(sealed.Envelope(), sealed.Digest())
	}
}

// takeFromBridge takes an event as the service does. Only what the bridge emitted once more, as it
// was, is a duplicate, and only a session that is final refuses anything.
func (w *world) takeFromBridge(body []byte, path string) {
	w.t.Helper()
	var envelope events.Envelope
	require.NoError(w.t, json.Unmarshal(body, &envelope))
	fact, err := events.Accept(events.Delivery{
		Body: body, RoutingKey: string(envelope.Type), MessageID: envelope.EventID, UserID: "bridge", SessionHeader: envelope.SessionID,
	})
	require.NoError(w.t, err)
	logged, repeated := w.digests[fact.EventID]
	final := w.session.Final()
	verdict := w.deliver(fact)
	switch verdict.Decision {
	case domain.Append:
	case domain.Duplicate:
		require.True(w.t, repeated && logged == fact.Digest, "%s: %s is a duplicate", path, fact.Type)
	default:
		require.Equal(w.t, domain.QuarantineFinal, verdict.Reason, "%s: %s: %s", path, body, verdict.Detail)
		require.True(w.t, final)
	}
}

// requireShown holds presence and open tracks to those of the bridge's mapping. An identity that
// never was in the call is not in the log.
func (w *world) requireShown(e entry, path string) {
	w.t.Helper()
	presence, tracks := map[string]domain.Presence{}, map[string][]string{}
	for _, p := range w.session.Snapshot().Participants {
		presence[p.Identity] = p.Presence
		if len(p.OpenTracks) > 0 {
			tracks[p.Identity] = p.OpenTracks
		}
	}
	for identity, want := range e.Presence {
		if _, known := presence[identity]; !known && want == domain.PresenceLeft {
			presence[identity] = want
		}
	}
	require.Equal(w.t, e.Presence, presence, path)
	require.Equal(w.t, e.Tracks, tracks, path)
}
