// Package portstest holds the suites that every adapter of a port passes.
package portstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// Start is when the suites' sessions begin.
var Start = time.Date(2026, 5, 1, 12, 0, 0, 123456000, time.UTC)

// Alice owns the suites' sessions, Bob is a participant.
var (
	Alice = events.Actor{Type: events.ActorUser, ID: "alice"}
	Bob   = events.Actor{Type: events.ActorUser, ID: "bob"}
)

// NewID returns a new id.
func NewID(t testing.TB) string {
	t.Helper()
	id, err := events.NewID()
	require.NoError(t, err)
	return id
}

// Seal makes log entries of drafts that begin here.
func Seal(t testing.TB, sessionID string, drafts []events.Draft, now time.Time) []ports.Entry {
	t.Helper()
	var entries []ports.Entry
	for _, draft := range drafts {
		sealed, err := events.Seal(NewID(t), sessionID, draft)
		require.NoError(t, err)
		entries = append(entries, ports.Entry{
			Event: sealed.Envelope(), JSON: sealed.JSON(), Digest: sealed.Digest(), AppendedAt: now, Publish: true,
		})
	}
	return entries
}

// Fact makes an event that a provider's side reports.
func Fact(t testing.TB, sessionID, eventID string, payload events.Payload) events.Accepted {
	t.Helper()
	sealed, err := events.Seal(eventID, sessionID, events.Draft{
		Timestamp: Start, Actor: events.Actor{Type: events.ActorProvider, ID: "livekit"}, Payload: payload,
	})
	require.NoError(t, err)
	return events.Accepted{Envelope: sealed.Envelope(), Raw: sealed.JSON(), Digest: sealed.Digest()}
}

// Room is the provider's room of a session.
func Room(sessionID string) events.ProviderRoom {
	return events.ProviderRoom{Provider: "livekit", RoomName: "call-" + sessionID, RoomSID: "RM_1"}
}

// Person is a user in the room.
func Person(user string) events.ProviderParticipant {
	return events.ProviderParticipant{Identity: user + "#default", UserID: user, ParticipantSID: "PA_" + user}
}

// Connected reports the first participant.
func Connected(sessionID, user string) events.Payload {
	return events.CallConnectedPayload{ProviderRoom: Room(sessionID), ProviderParticipant: Person(user)}
}

// Joined reports a participant.
func Joined(sessionID, user string) events.Payload {
	return events.CallParticipantJoinedPayload{ProviderRoom: Room(sessionID), ProviderParticipant: Person(user), JoinedAt: events.At(Start)}
}

// Left reports that a participant has left.
func Left(sessionID, user string) events.Payload {
	return events.CallParticipantLeftPayload{
		ProviderRoom: Room(sessionID), ProviderParticipant: Person(user), Reason: events.LeaveClientInitiated, LeftAt: events.At(Start),
	}
}

// Published reports a track.
func Published(sessionID, user, trackSID string) events.Payload {
	return events.CallTrackPublishedPayload{
		ProviderRoom: Room(sessionID), ProviderParticipant: Person(user),
		Track: events.Track{TrackSID: trackSID, Kind: events.TrackAudio, Source: events.SourceMicrophone},
	}
}

// Said makes an event that a service says, published by itself.
func Said(t testing.TB, sessionID, eventID string, payload events.Payload) events.Accepted {
	t.Helper()
	actor := events.Actor{Type: events.ActorService, ID: events.Producer(payload.EventType())}
	sealed, err := events.Seal(eventID, sessionID, events.Draft{Timestamp: Start, Actor: actor, Payload: payload})
	require.NoError(t, err)
	return events.Accepted{Envelope: sealed.Envelope(), Raw: sealed.JSON(), Digest: sealed.Digest()}
}

// Spoken is the final transcript of one utterance.
func Spoken(text string) events.Payload {
	return events.TranscriptFinalPayload{Transcript: events.Transcript{
		SegmentID: "asr-1/1", Sequence: 1, Revision: 1, Text: text, StartedAt: events.At(Start), EndedAt: events.At(Start.Add(time.Second)),
	}}
}

// Billed is a record of use, which members are not shown.
func Billed() events.Payload {
	return events.BillingUsageRecordedPayload{
		BillingRecord: events.BillingRecord{RecordID: "rec-1"}, Metered: events.Metered{Meter: "call.participant_time", Unit: "second"},
		Quantity: "60", Period: events.Period{From: events.At(Start), To: events.At(Start.Add(time.Minute))},
	}
}

// NewSession makes a session of Alice and Bob that no store has yet.
func NewSession(t testing.TB) (*domain.Session, []ports.Entry) {
	t.Helper()
	title := "Weekly <sync> & more"
	session, drafts, err := domain.Create(NewID(t), domain.Spec{
		OwnerID: Alice.ID, Title: &title, Metadata: []byte(`{"big":12345678901234567890.10,"tag":"\u003cé\"","nothing":null}`),
		Members: []events.Member{{UserID: "bob", Role: events.RoleParticipant}},
	}, Alice, Start)
	require.NoError(t, err)
	return session, Seal(t, session.ID(), drafts, Start)
}
