package domain_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

func fullSnapshot() domain.Snapshot {
	return domain.Snapshot{
		ID: sessionID, OwnerID: "alice", Status: events.StatusFailed, Title: ptr("title"), Kind: events.KindVideo, Provider: "livekit",
		Correlation: &domain.Correlation{RoomID: "r", ParticipantID: "p", CallID: "c"}, Metadata: []byte(`{"a":1,"b":2}`),
		Members:      []events.Member{{UserID: "alice", Role: events.RoleHost}},
		Participants: []domain.Participant{{Identity: "alice#1", UserID: "alice", Presence: domain.PresenceLeft, JoinedAt: start, OpenTracks: []string{"TR_1"}}},
		Version:      3, CreatedAt: start, UpdatedAt: start, StartedAt: ptr(start), EndedAt: ptr(start), EndReason: ptr("x"),
		Failure: &events.ErrorInfo{Code: "c", Message: "m"}, Disconnected: true,
	}
}

// TestEveryFieldIsCompared also of fields that the state will have later.
func TestEveryFieldIsCompared(t *testing.T) {
	kind := reflect.TypeFor[domain.Snapshot]()
	for i := range kind.NumField() {
		changed := fullSnapshot()
		field := reflect.ValueOf(&changed).Elem().Field(i)
		require.False(t, field.IsZero(), "the test knows no value of %s", kind.Field(i).Name)
		field.SetZero()
		require.Len(t, domain.Differences(fullSnapshot(), changed), 1, kind.Field(i).Name)
		require.Len(t, domain.Differences(changed, fullSnapshot()), 1, kind.Field(i).Name)
	}
	for name, change := range map[string]func(*domain.Participant){
		"user":     func(p *domain.Participant) { p.UserID = "bob" },
		"presence": func(p *domain.Participant) { p.Presence = domain.PresencePresent },
		"joined":   func(p *domain.Participant) { p.JoinedAt = start.Add(time.Microsecond) },
		"tracks":   func(p *domain.Participant) { p.OpenTracks = nil },
	} {
		changed := fullSnapshot()
		change(&changed.Participants[0])
		found := domain.Differences(fullSnapshot(), changed)
		require.Len(t, found, 1, name)
		require.Equal(t, "participant alice#1", found[0].Field)
	}
}

func TestTheSameInOtherWordsIsNoDifference(t *testing.T) {
	other := fullSnapshot()
	other.Metadata = []byte(` {"b":2, "a":1}`)
	other.CreatedAt = start.In(time.FixedZone("elsewhere", 3600))
	require.Empty(t, domain.Differences(fullSnapshot(), other))
	without, empty := fullSnapshot(), fullSnapshot()
	without.Participants, empty.Participants = nil, []domain.Participant{}
	require.Empty(t, domain.Differences(without, empty))
}
