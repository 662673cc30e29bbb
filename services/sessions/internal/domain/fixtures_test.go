package domain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

const sessionID = "0190a000-0000-7000-8000-000000000001"

var (
	start  = time.Date(2026, 5, 1, 12, 0, 0, 123456000, time.UTC)
	alice  = events.Actor{Type: events.ActorUser, ID: "alice"}
	bridge = events.Actor{Type: events.ActorProvider, ID: "livekit"}
	room   = events.ProviderRoom{Provider: "livekit", RoomName: "call-" + sessionID, RoomSID: "RM_1"}
)

func who(user string) events.ProviderParticipant {
	return events.ProviderParticipant{Identity: user + "#default", UserID: user, ParticipantSID: "PA_" + user}
}

func connected(user string) events.Payload {
	return events.CallConnectedPayload{ProviderRoom: room, ProviderParticipant: who(user)}
}

func joined(user string) events.Payload {
	return events.CallParticipantJoinedPayload{ProviderRoom: room, ProviderParticipant: who(user), JoinedAt: events.At(start)}
}

func left(user string) events.Payload {
	return events.CallParticipantLeftPayload{ProviderRoom: room, ProviderParticipant: who(user), Reason: events.LeaveClientInitiated, LeftAt: events.At(start)}
}

func lost(user string) events.Payload {
	return events.CallParticipantReconnectingPayload{ProviderRoom: room, ProviderParticipant: who(user), Reason: events.LeaveUnknown, Deadline: events.At(start)}
}

func back(user string) events.Payload {
	return events.CallParticipantReconnectedPayload{ProviderRoom: room, ProviderParticipant: who(user)}
}

func published(user, sid string) events.Payload {
	return events.CallTrackPublishedPayload{ProviderRoom: room, ProviderParticipant: who(user), Track: track(sid)}
}

func unpublished(user, sid string) events.Payload {
	return events.CallTrackUnpublishedPayload{ProviderRoom: room, ProviderParticipant: who(user), Track: track(sid)}
}

func track(sid string) events.Track {
	return events.Track{TrackSID: sid, Kind: events.TrackAudio, Source: events.SourceMicrophone}
}

func disconnected(reason events.DisconnectReason) events.Payload {
	return events.CallDisconnectedPayload{ProviderRoom: room, Reason: reason}
}

func providerError(retryable bool) events.Payload {
	return events.CallErrorPayload{Provider: "livekit", Code: "room_unavailable", Message: "no room", Retryable: retryable}
}

// checker is what rapid.T and testing.T have in common for testify.
type checker interface {
	require.TestingT
	Helper()
}

// world is one session, its log and the events that its log holds.
type world struct {
	t       checker
	session *domain.Session
	log     []domain.Logged
	digests map[string]domain.Digest
	now     time.Time
}

func newWorld(t checker, spec domain.Spec) *world {
	t.Helper()
	w := &world{t: t, digests: map[string]domain.Digest{}, now: start}
	if spec.OwnerID == "" {
		spec.OwnerID = "alice"
	}
	session, drafts, err := domain.Create(sessionID, spec, alice, w.now)
	require.NoError(t, err)
	w.session = session
	w.appendDrafts(drafts)
	return w
}

func (w *world) appendDrafts(drafts []events.Draft) {
	w.t.Helper()
	for _, draft := range drafts {
		id, err := events.NewID()
		require.NoError(w.t, err)
		sealed, err := events.Seal(id, sessionID, draft)
		require.NoError(w.t, err)
		w.appendEnvelope(sealed.Envelope(), sealed.Digest())
	}
}

func (w *world) appendEnvelope(e events.Envelope, digest domain.Digest) {
	w.log = append(w.log, domain.Logged{Envelope: e, AppendedAt: w.now})
	w.digests[e.EventID] = digest
}

func (w *world) tick() { w.now = w.now.Add(time.Second) }

// accepted makes the event that the bridge would have sent.
func accepted(t checker, id string, at time.Time, payload events.Payload) events.Accepted {
	t.Helper()
	sealed, err := events.Seal(id, sessionID, events.Draft{Timestamp: at, Actor: bridge, Payload: payload})
	require.NoError(t, err)
	return events.Accepted{Envelope: sealed.Envelope(), Raw: sealed.JSON(), Digest: sealed.Digest()}
}

// said makes the event that a service would have sent.
func said(t checker, id string, at time.Time, payload events.Payload) events.Accepted {
	t.Helper()
	actor := events.Actor{Type: events.ActorService, ID: events.Producer(payload.EventType())}
	sealed, err := events.Seal(id, sessionID, events.Draft{Timestamp: at, Actor: actor, Payload: payload})
	require.NoError(t, err)
	return events.Accepted{Envelope: sealed.Envelope(), Raw: sealed.JSON(), Digest: sealed.Digest()}
}

func transcript(text string) events.Payload {
	return events.TranscriptFinalPayload{Transcript: events.Transcript{
		SegmentID: "asr-1/1", Sequence: 1, Revision: 1, Text: text, StartedAt: events.At(start), EndedAt: events.At(start.Add(time.Second)),
	}}
}

// deliver lets the session observe an event, and logs what it decides to.
func (w *world) deliver(fact events.Accepted) domain.Verdict {
	w.t.Helper()
	w.tick()
	var prior *domain.Digest
	if digest, logged := w.digests[fact.EventID]; logged {
		prior = &digest
	}
	verdict := w.session.Observe(fact, prior, w.now)
	if verdict.Decision == domain.Append {
		w.appendEnvelope(fact.Envelope, fact.Digest)
		w.appendDrafts(verdict.Drafts)
	}
	return verdict
}

// observe delivers a new event.
func (w *world) observe(payload events.Payload) domain.Verdict {
	w.t.Helper()
	id, err := events.NewID()
	require.NoError(w.t, err)
	return w.deliver(accepted(w.t, id, w.now, payload))
}

func (w *world) patch(p domain.Patch) error {
	w.t.Helper()
	w.tick()
	drafts, err := w.session.Patch(p, alice, w.now)
	w.appendDrafts(drafts)
	return err
}

func (w *world) types() []events.Type {
	types := make([]events.Type, len(w.log))
	for i, entry := range w.log {
		types[i] = entry.Envelope.Type
	}
	return types
}

func (w *world) requireReplays() {
	w.t.Helper()
	replayed, err := domain.Replay(w.log)
	require.NoError(w.t, err)
	require.Equal(w.t, normal(w.session.Snapshot()), normal(replayed.Snapshot()))
}

// normal makes empty and nil lists the same.
func normal(s domain.Snapshot) domain.Snapshot {
	if len(s.Participants) == 0 {
		s.Participants = nil
	}
	for i := range s.Participants {
		if len(s.Participants[i].OpenTracks) == 0 {
			s.Participants[i].OpenTracks = nil
		}
	}
	return s
}

func ptr[T any](v T) *T { return &v }

func setup(t *testing.T) *world { t.Helper(); return newWorld(t, domain.Spec{}) }
