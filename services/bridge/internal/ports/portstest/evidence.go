package portstest

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// alter changes the state of a mapping, as a decision of its own, and returns it.
func alter(t testing.TB, s Store, session string, step func(*domain.State)) domain.State {
	t.Helper()
	var altered domain.State
	change(t, s, session, func(m domain.Mapping) domain.Mapping {
		altered = m.State()
		step(&altered)
		altered.Revision++
		return domain.Restore(altered)
	})
	return altered
}

// FilledState returns a state in which each field of the domain has a value somewhere, with times
// that are as fine as stores keep them. It fails the test where a field was added and has no value
// here.
func FilledState(t testing.TB, session string) domain.State {
	t.Helper()
	minute := func(n int) time.Time { return moment.Add(time.Duration(n) * time.Minute) }
	track := domain.Track{
		SID: "TR_open", Kind: events.TrackVideo, Source: events.SourceCamera, Name: "cam", MimeType: "video/VP8",
		PublishedAt: minute(3), Open: true, Evidence: domain.Seen, Episode: 2,
	}
	closed, guessed, early := track, track, track
	closed.SID, closed.Open, closed.Evidence = "TR_closed", false, domain.Told
	guessed.SID, guessed.Open, guessed.Evidence = "TR_guessed", false, domain.Inferred
	early.SID, early.Open, early.Evidence, early.Awaits = "TR_early", false, domain.Told, "PA_5"
	state := domain.State{
		SessionID: session, RoomName: domain.RoomName(session), SessionVersion: 7, Final: true, Revision: 21, Episode: 9,
		Room: domain.Room{
			Phase: domain.PhaseFinished, Evidence: domain.Told, SID: "RM_2", FirstSID: "RM_1",
			CreatedAt: minute(0), FinishedAt: minute(8), Finished: []string{"RM_1", "RM_2"},
		},
		ConnectingAt: minute(1), ConnectedAt: minute(2), DisconnectedAt: minute(9), Interrupted: true,
		LastLeftAt: minute(7), LastLeft: domain.Lost, LookAt: minute(10), UnattendedSince: minute(6),
		Members: map[string]domain.Member{
			"alice": {UserID: "alice", Role: events.RoleHost, Version: 3}, "bob": {UserID: "bob", Version: 7, Removed: true},
		},
		Participants: map[string]domain.Participant{
			"alice#phone": {
				Identity: "alice#phone", UserID: "alice", DeviceID: "phone", Presence: domain.Reconnecting,
				SID: "PA_4", JoinedAt: minute(2), Evidence: domain.Seen, Ended: []string{"PA_1", "PA_3"}, Unanswered: true,
				Episode: 8, StaleToken: true,
				Grace: domain.GracePeriod{
					Reason: events.LeaveConnectionTimeout, Leave: domain.Vanished, Evidence: domain.Inferred,
					Since: minute(4), Deadline: minute(5), DeniedAt: minute(6),
				},
				Tracks: map[string]domain.Track{track.SID: track, closed.SID: closed, guessed.SID: guessed, early.SID: early},
			},
			"bob#default": {
				Identity: "bob#default", UserID: "bob", DeviceID: "default", Presence: domain.Replaced,
				SID: "PA_2", JoinedAt: minute(3), Evidence: domain.Told, Ended: []string{"PA_2"}, Episode: 3,
				Grace: domain.GracePeriod{
					Reason: events.LeaveDuplicateIdentity, Leave: domain.InOrder, Evidence: domain.Told, Since: minute(4), Deadline: minute(5),
				},
			},
			"carol#default": {Identity: "carol#default", UserID: "carol", DeviceID: "default", Presence: domain.Absent},
		},
	}
	filled := map[string]bool{}
	noteFields(reflect.ValueOf(state), filled)
	for field, has := range filled {
		require.True(t, has, "no value of %s", field)
	}
	return state
}

// noteFields notes each field of the domain's structs in a value, and whether it has a value in one
// of them.
func noteFields(v reflect.Value, filled map[string]bool) {
	switch {
	case v.Kind() == reflect.Map:
		for _, key := range v.MapKeys() {
			noteFields(v.MapIndex(key), filled)
		}
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for n := range v.NumField() {
			name := v.Type().Name() + "." + v.Type().Field(n).Name
			filled[name] = filled[name] || !v.Field(n).IsZero()
			noteFields(v.Field(n), filled)
		}
	}
}

// evidenceComesBack stores each kind of evidence, and takes it back again.
func evidenceComesBack(t *testing.T, s Store) {
	session := newSession()
	participant := func(identity string, change func(*domain.Participant)) func(*domain.State) {
		return func(state *domain.State) {
			p := state.Participants[identity]
			change(&p)
			state.Participants[identity] = p
		}
	}
	for _, step := range []struct {
		name   string
		change func(*domain.State)
	}{
		{"everything", func(state *domain.State) {
			revision := state.Revision
			*state = FilledState(t, session)
			state.Revision = revision
		}},
		{"a finish that is inferred", func(state *domain.State) {
			state.Room.Evidence, state.Room.FinishedAt, state.Room.Finished = domain.Inferred, time.Time{}, []string{"RM_1"}
		}},
		{"a room that is seen", func(state *domain.State) { state.Room.Phase, state.Room.Evidence = domain.PhaseOpen, domain.Seen }},
		{"a room that is told", func(state *domain.State) { state.Room.Evidence, state.Room.Finished = domain.Told, nil }},
		{"no look any more", func(state *domain.State) { state.LookAt, state.UnattendedSince = time.Time{}, time.Time{} }},
		{"an end that is told", participant("alice#phone", func(p *domain.Participant) {
			p.Grace.Evidence, p.Ended = domain.Told, []string{"PA_1", "PA_3", "PA_4"}
		})},
		{"a denial that is taken back", participant("alice#phone", func(p *domain.Participant) { p.Grace.DeniedAt = time.Time{} })},
		{"a denial", participant("alice#phone", func(p *domain.Participant) { p.Grace.DeniedAt = moment })},
		{"a node that answers again", participant("alice#phone", func(p *domain.Participant) {
			p.Presence, p.Unanswered, p.Grace = domain.Present, false, domain.GracePeriod{}
		})},
		{"a connection that is told", participant("alice#phone", func(p *domain.Participant) { p.Evidence = domain.Told })},
		{"an end that no node confirms", participant("alice#phone", func(p *domain.Participant) {
			p.Presence, p.Unanswered, p.Ended = domain.Absent, true, nil
		})},
		{"a track that is published again", participant("alice#phone", func(p *domain.Participant) {
			track := p.Tracks["TR_guessed"]
			track.Open, track.Evidence, track.Episode = true, domain.Told, track.Episode+1
			p.Tracks["TR_guessed"] = track
		})},
	} {
		want := alter(t, s, session, step.change)
		require.Equal(t, want, load(t, s, session), step.name)
		found, known, err := s.Reader.Find(t.Context(), session)
		require.NoError(t, err)
		require.True(t, known)
		require.Equal(t, want, found.State(), step.name)
	}
}

// endsAreRemembered stores as many ends as the domain remembers, and more sids than any call has.
func endsAreRemembered(t *testing.T, s Store) {
	session := team(t, s)
	var sids []string
	for _, sid := range []string{"PA_1", "PA_ü", `PA_"`, `PA_\`, "PA_5", "PA_6", "PA_7", "PA_8"} {
		sids = append(sids, sid)
		alter(t, s, session, func(state *domain.State) {
			p := state.Participants["bob#default"]
			p.Ended = slices.Clone(sids)
			state.Participants["bob#default"] = p
			state.Room.Phase, state.Room.SID, state.Room.FirstSID = domain.PhaseOpen, sid, sid
			state.Room.Evidence, state.Room.Finished = domain.Told, slices.Clone(sids)
		})
		stored := load(t, s, session)
		require.Equal(t, sids, stored.Participants["bob#default"].Ended)
		require.Equal(t, sids, stored.Room.Finished)
		require.Empty(t, stored.Participants["alice#default"].Ended)
	}
}
