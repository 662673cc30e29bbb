package domain_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/events/vectors"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

// Writing them anew changes all, so it is only for a change of the catalogue or of what a fold makes of it.
var writeVectors = flag.Bool("write-vectors", false, "write contracts/events/vectors anew")

const (
	vectorsFile  = "../../../../contracts/events/vectors/folds.jsonl.gz"
	vectorsCount = 1000
)

// shownSession is a session as the API shows it, as far as its log tells.
type shownSession struct {
	SessionID             string             `json:"sessionId"`
	OwnerID               string             `json:"ownerId"`
	Status                events.Status      `json:"status"`
	Title                 *string            `json:"title"`
	Kind                  events.Kind        `json:"kind"`
	Provider              string             `json:"provider"`
	ProviderRoomID        *string            `json:"providerRoomId"`
	ProviderParticipantID *string            `json:"providerParticipantId"`
	ProviderCallID        *string            `json:"providerCallId"`
	Metadata              json.RawMessage    `json:"metadata"`
	Members               []events.Member    `json:"members"`
	Participants          []shownParticipant `json:"participants"`
	Version               int64              `json:"version"`
	CreatedAt             events.Instant     `json:"createdAt"`
	StartedAt             *events.Instant    `json:"startedAt"`
	EndedAt               *events.Instant    `json:"endedAt"`
	EndReason             *string            `json:"endReason"`
	Error                 *events.ErrorInfo  `json:"error"`
	LastEventID           string             `json:"lastEventId"`
}

type shownParticipant struct {
	UserID   string          `json:"userId"`
	Identity string          `json:"identity"`
	Status   domain.Presence `json:"status"`
	JoinedAt events.Instant  `json:"joinedAt"`
}

func show(s domain.Snapshot, lastEventID string) shownSession {
	shown := shownSession{
		SessionID: s.ID, OwnerID: s.OwnerID, Status: s.Status, Title: s.Title, Kind: s.Kind, Provider: s.Provider, Metadata: s.Metadata,
		Members: s.Members, Participants: []shownParticipant{}, Version: s.Version, CreatedAt: events.At(s.CreatedAt),
		StartedAt: events.AtPtr(s.StartedAt), EndedAt: events.AtPtr(s.EndedAt), EndReason: s.EndReason, Error: s.Failure, LastEventID: lastEventID,
	}
	if c := s.Correlation; c != nil {
		shown.ProviderRoomID, shown.ProviderParticipantID, shown.ProviderCallID = &c.RoomID, &c.ParticipantID, &c.CallID
	}
	for _, p := range s.Participants {
		shown.Participants = append(shown.Participants, shownParticipant{p.UserID, p.Identity, p.Presence, events.At(p.JoinedAt)})
	}
	return shown
}

// TestTheSharedLogsAreFolded holds this fold to the logs and states that other folds are held to as well.
func TestTheSharedLogsAreFolded(t *testing.T) {
	if *writeVectors {
		text, err := vectors.Write(drawVectors(t))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(vectorsFile, text, 0o600))
		t.Skip("they are written; run it again to hold the fold to them")
	}
	all, err := vectors.Folds()
	require.NoError(t, err)
	require.Len(t, all, vectorsCount)
	types := map[events.Type]bool{}
	for n, one := range all {
		log := make([]domain.Logged, len(one.Log))
		for i, text := range one.Log {
			require.NoError(t, json.Unmarshal(text, &log[i].Envelope))
			at, err := log[i].Envelope.Time()
			require.NoError(t, err)
			log[i].AppendedAt = at
			types[log[i].Envelope.Type] = true
		}
		session, err := domain.Replay(log)
		require.NoError(t, err, "log %d", n)
		state, err := json.Marshal(show(session.Snapshot(), log[len(log)-1].Envelope.EventID))
		require.NoError(t, err)
		require.JSONEq(t, string(one.State), string(state), "log %d", n)
	}
	for _, kind := range events.Types() {
		if events.FamilyOf(kind) == events.FamilyOf(events.CallCreated) {
			require.True(t, types[kind], "no log has %s", kind)
		}
	}
}

func drawVectors(t *testing.T) []vectors.Fold {
	t.Helper()
	histories := rapid.Custom(drawHistory)
	all := make([]vectors.Fold, vectorsCount)
	for n := range all {
		w := histories.Example(n)
		for _, entry := range w.log {
			text, err := json.Marshal(entry.Envelope)
			require.NoError(t, err)
			all[n].Log = append(all[n].Log, text)
		}
		var err error
		all[n].State, err = json.Marshal(show(w.session.Snapshot(), w.log[len(w.log)-1].Envelope.EventID))
		require.NoError(t, err)
	}
	return all
}

// drawHistory has anything happen to a session.
func drawHistory(t *rapid.T) *world {
	provider := rapid.SampledFrom([]string{"livekit", "livekit", "livekit", "pstn"}).Draw(t, "provider")
	w := newWorld(t, domain.Spec{Provider: provider, Metadata: []byte(`{"a":1}`)})
	if provider == "livekit" && rapid.IntRange(0, 4).Draw(t, "whether anybody comes") > 0 {
		for n, fact := range []events.Payload{connected("alice"), joined("alice"), joined("bob")} {
			w.deliver(accepted(t, events.DerivedID("joining", fmt.Sprint(n)), w.now, fact))
		}
	}
	for step := range rapid.IntRange(10, 40).Draw(t, "steps") {
		w.now = w.now.Add(123456789)
		switch rapid.SampledFrom([]string{"fact", "fact", "fact", "fact", "said", "patch", "member", "roles", "expire"}).Draw(t, "kind") {
		case "fact":
			w.deliver(accepted(t, events.DerivedID("step", fmt.Sprint(step)), w.now, drawFact(t)))
		case "said":
			w.deliver(said(t, events.DerivedID("step", fmt.Sprint(step)), w.now, drawSaying(t)))
		case "patch":
			checkPatchError(t, w.patch(drawPatch(t)))
		case "member":
			checkMemberError(t, changeMember(t, w))
		case "roles":
			subject := rapid.SampledFrom([]string{"bob", "carol"}).Draw(t, "subject")
			_, err := w.setMember(user("alice"), subject, rapid.SampledFrom([]events.Role{events.RoleHost, events.RoleViewer}).Draw(t, "role"))
			checkMemberError(t, err)
		case "expire":
			if rapid.IntRange(0, 4).Draw(t, "whether") == 0 {
				w.expire()
			}
		}
	}
	return w
}
