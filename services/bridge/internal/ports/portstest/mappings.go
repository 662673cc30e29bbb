// Package portstest holds the suites that every adapter of a port must pass.
package portstest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// Store is an adapter under test.
type Store struct {
	Mappings  ports.Mappings
	Reader    ports.MappingReader
	Old       ports.OldMappings
	Deletions ports.RoomDeletions

	PermissionSyncs ports.PermissionSyncs
	RoomChecks      ports.RoomChecks
	ReconcileLease  ports.ReconcileLease
	MappingSurvey   ports.MappingSurvey

	// Published returns the ids of the events that are to be published for a session, in order.
	Published func(t testing.TB, sessionID string) []string
}

var moment = time.Date(2026, 11, 23, 8, 0, 0, 123_456_000, time.UTC)

// Mappings is the suite of ports.Mappings. open returns a store whose content no other test shares.
func Mappings(t *testing.T, open func(t *testing.T) Store) {
	tests := map[string]func(t *testing.T, s Store){
		"what is stored comes back":                       comesBack,
		"evidence of each kind comes back":                evidenceComesBack,
		"the ends of connections and rooms come back":     endsAreRemembered,
		"a mapping is found without being made":           found,
		"old mappings of final sessions are forgotten":    forgotten,
		"a decision that fails stores nothing":            rollsBack,
		"a webhook has its effect once":                   once,
		"webhooks of other rooms are only recorded":       unknownRoom,
		"changes of one mapping come one after the other": serialized,
		"the same webhook twice at once counts once":      racedReceipt,
		"sessions don't wait for each other":              independent,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

func found(t *testing.T, s Store) {
	session := newSession()
	_, known, err := s.Reader.Find(t.Context(), session)
	require.NoError(t, err)
	require.False(t, known)
	_, known, err = s.Reader.Find(t.Context(), session)
	require.NoError(t, err)
	require.False(t, known, "looking makes nothing")
	change(t, s, session, func(m domain.Mapping) domain.Mapping { return admit(t, m, "alice", "phone") })
	m, known, err := s.Reader.Find(t.Context(), session)
	require.NoError(t, err)
	require.True(t, known)
	require.Equal(t, load(t, s, session), m.State())
	require.True(t, m.IsActiveMember("alice#phone"))
}

func forgotten(t *testing.T, s Store) {
	final := func(m domain.Mapping) domain.Mapping {
		m, _ = admit(t, m, "alice", "phone").Finalize(2)
		return m
	}
	over, live, unfinished := []string{newSession(), newSession(), newSession()}, newSession(), newSession()
	unsynced := team(t, s)
	setRole(t, s, unsynced, "bob", "", 2)
	change(t, s, unsynced, func(m domain.Mapping) domain.Mapping {
		m, _ = m.Finalize(3)
		return m
	})
	for _, session := range over {
		change(t, s, session, final)
	}
	change(t, s, live, func(m domain.Mapping) domain.Mapping { return admit(t, m, "alice", "phone") })
	require.NoError(t, s.Mappings.ChangeSession(t.Context(), unfinished, func(m domain.Mapping) (ports.Change, error) {
		return ports.Change{Mapping: final(m), DeleteRoom: true}, nil
	}))
	forget := func(before time.Time, want int) {
		t.Helper()
		n, err := s.Old.ForgetMappings(t.Context(), before, 2)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	forget(time.Now().Add(-time.Hour), 0)
	later := time.Now().Add(time.Hour)
	forget(later, 2)
	forget(later, 1)
	forget(later, 0)
	known := func(session string) bool {
		_, known, err := s.Reader.Find(t.Context(), session)
		require.NoError(t, err)
		return known
	}
	for _, session := range over {
		require.False(t, known(session))
	}
	require.True(t, known(live), "a session that isn't over is kept, however old it is")
	require.True(t, known(unfinished), "its room is still to be deleted")
	claimed, err := s.Deletions.Claim(t.Context(), 10, time.Minute)
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	require.NoError(t, s.Deletions.Done(t.Context(), claimed[0]))
	forget(later, 1)
	require.False(t, known(unfinished))

	require.True(t, known(unsynced), "a participant is still to be removed")
	for _, p := range claimSyncs(t, s, time.Minute) {
		require.NoError(t, s.PermissionSyncs.SettlePermissionSync(t.Context(), p))
	}
	forget(later, 1)
	require.False(t, known(unsynced))
}

func newSession() string { return uuid.Must(uuid.NewV7()).String() }

// change stores the mapping that decide returns.
func change(t testing.TB, s Store, session string, decide func(domain.Mapping) domain.Mapping) {
	t.Helper()
	require.NoError(t, s.Mappings.ChangeSession(t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
		return ports.Change{Mapping: decide(m)}, nil
	}))
}

func load(t testing.TB, s Store, session string) domain.State {
	t.Helper()
	var state domain.State
	change(t, s, session, func(m domain.Mapping) domain.Mapping {
		state = m.State()
		return m
	})
	return state
}

func admit(t testing.TB, m domain.Mapping, user, device string) domain.Mapping {
	t.Helper()
	admitted, _, err := m.Admit(domain.GrantRequest{UserID: user, DeviceID: device, Role: events.RoleParticipant, SessionVersion: 1})
	require.NoError(t, err)
	return admitted
}

func observation(session string) domain.Observation {
	return domain.Observation{Room: domain.RoomRef{Name: domain.RoomName(session), SID: "RM_1", CreatedAt: moment}, At: moment.Add(time.Second)}
}

func joined(session, user string) domain.Fact {
	return domain.ParticipantJoined{Observation: observation(session), Connection: domain.Connection{Identity: user + "#default", SID: "PA_" + user, JoinedAt: moment}}
}

// applying returns a decision that applies a fact as the webhook's use case does.
func applying(f domain.Fact, deleteRoom bool) ports.Decide {
	return func(m domain.Mapping) (ports.Change, error) {
		changed, result := m.Apply(f, domain.Moment{Now: moment, Policy: domain.Policy{Grace: time.Minute}})
		c := ports.Change{Mapping: changed, DeleteRoom: deleteRoom}
		for _, e := range result.Events {
			sealed, err := events.Seal(e.ID, m.SessionID(), e.Draft)
			if err != nil {
				return ports.Change{}, err
			}
			c.Events = append(c.Events, sealed)
		}
		return c, nil
	}
}

func receipt(session string) ports.Receipt {
	return ports.Receipt{ID: "EV_" + uuid.NewString(), Kind: "participant_joined", RoomName: domain.RoomName(session), ReceivedAt: moment}
}

func comesBack(t *testing.T, s Store) {
	session := newSession()
	var want domain.Mapping
	facts := []domain.Fact{
		joined(session, "alice"),
		domain.TrackPublished{Observation: observation(session), Connection: domain.Connection{Identity: "alice#default", SID: "PA_alice"},
			Track: domain.Track{SID: "TR_1", Kind: events.TrackVideo, Source: events.SourceCamera, MimeType: "video/VP8", PublishedAt: moment}},
		domain.TrackPublished{Observation: observation(session), Connection: domain.Connection{Identity: "alice#default", SID: "PA_alice"},
			Track: domain.Track{SID: "TR_2", Kind: events.TrackAudio, Source: events.SourceMicrophone, Name: "mic", PublishedAt: moment}},
		domain.TrackUnpublished{Observation: observation(session), Connection: domain.Connection{Identity: "alice#default", SID: "PA_alice"}, Track: domain.Track{SID: "TR_1"}},
		early(session, "TR_3"), early(session, "TR_4"),
		domain.TrackUnpublished{Observation: observation(session), Connection: domain.Connection{Identity: "bob#default", SID: "PA_bob"}, Track: domain.Track{SID: "TR_4"}},
		joined(session, "bob"),
		domain.ParticipantLeft{Observation: observation(session), Connection: domain.Connection{Identity: "bob#default", SID: "PA_bob"}, Reason: events.LeaveConnectionTimeout},
		domain.RoomFinished{Observation: observation(session)},
	}
	change(t, s, session, func(m domain.Mapping) domain.Mapping {
		m = m.Learn(3, domain.Member{UserID: "carol", Role: events.RoleViewer, Version: 3}, domain.Member{UserID: "dave", Version: 2, Removed: true})
		want = admit(t, admit(t, m, "alice", ""), "bob", "default")
		return want
	})
	require.Equal(t, want.State(), load(t, s, session))
	for _, f := range facts {
		change(t, s, session, func(m domain.Mapping) domain.Mapping {
			want, _ = m.Apply(f, domain.Moment{Now: moment, Policy: domain.Policy{Grace: time.Minute}})
			return want
		})
		require.Equal(t, want.State(), load(t, s, session))
	}
	change(t, s, session, func(m domain.Mapping) domain.Mapping {
		want = m.Learn(8, domain.Member{UserID: "bob", Version: 8, Removed: true})
		require.True(t, want.State().Participants["bob#default"].StaleToken)
		return want
	})
	require.Equal(t, want.State(), load(t, s, session))
	change(t, s, session, func(m domain.Mapping) domain.Mapping {
		want, _ = m.Finalize(9)
		return want
	})
	require.Equal(t, want.State(), load(t, s, session))
}

// early is a track of bob's that is published before bob has joined.
func early(session, sid string) domain.Fact {
	return domain.TrackPublished{Observation: observation(session), Connection: domain.Connection{Identity: "bob#default", SID: "PA_bob"},
		Track: domain.Track{SID: sid, Kind: events.TrackAudio, Source: events.SourceMicrophone, PublishedAt: moment}}
}

var errDecide = errors.New("decided not to")

func rollsBack(t *testing.T, s Store) {
	session := newSession()
	fail := func(m domain.Mapping) (ports.Change, error) { return ports.Change{Mapping: m}, errDecide }
	require.ErrorIs(t, s.Mappings.ChangeSession(t.Context(), session, fail), errDecide)
	r := receipt(session)
	reception, err := s.Mappings.Receive(t.Context(), r, fail)
	require.NoError(t, err)
	require.Equal(t, ports.UnknownRoom, reception, "the session that failed was not made")

	change(t, s, session, func(m domain.Mapping) domain.Mapping { return admit(t, m, "alice", "") })
	r = receipt(session)
	_, err = s.Mappings.Receive(t.Context(), r, fail)
	require.ErrorIs(t, err, errDecide)
	reception, err = s.Mappings.Receive(t.Context(), r, applying(joined(session, "alice"), true))
	require.NoError(t, err)
	require.Equal(t, ports.Stored, reception, "the receipt of the one that failed was not kept")
	require.Len(t, s.Published(t, session), 3)
}

func once(t *testing.T, s Store) {
	session := newSession()
	change(t, s, session, func(m domain.Mapping) domain.Mapping { return admit(t, m, "alice", "") })
	r := receipt(session)
	reception, err := s.Mappings.Receive(t.Context(), r, applying(joined(session, "alice"), false))
	require.NoError(t, err)
	require.Equal(t, ports.Stored, reception)
	before := load(t, s, session)
	for _, again := range []ports.Decide{
		applying(domain.RoomFinished{Observation: observation(session)}, true),
		func(domain.Mapping) (ports.Change, error) { return ports.Change{}, errDecide },
	} {
		reception, err = s.Mappings.Receive(t.Context(), r, again)
		require.NoError(t, err)
		require.Equal(t, ports.Repeated, reception)
	}
	require.Equal(t, before, load(t, s, session))
	require.Len(t, s.Published(t, session), 3)
}

func unknownRoom(t *testing.T, s Store) {
	session := newSession()
	r := receipt(session)
	for _, want := range []ports.Reception{ports.UnknownRoom, ports.Repeated} {
		reception, err := s.Mappings.Receive(t.Context(), r, applying(joined(session, "alice"), false))
		require.NoError(t, err)
		require.Equal(t, want, reception)
	}
	reception, err := s.Mappings.Receive(t.Context(), ports.Receipt{ID: "EV_" + session, Kind: "egress_started", ReceivedAt: moment}, nil)
	require.NoError(t, err)
	require.Equal(t, ports.Noted, reception)
	require.Zero(t, load(t, s, session).Revision)
}

func serialized(t *testing.T, s Store) {
	session := newSession()
	const racers = 24
	var running sync.WaitGroup
	for n := range racers {
		running.Go(func() {
			change(t, s, session, func(m domain.Mapping) domain.Mapping {
				return m.Learn(1, domain.Member{UserID: fmt.Sprintf("user%d", n), Role: events.RoleViewer, Version: 1})
			})
		})
	}
	running.Wait()
	state := load(t, s, session)
	require.EqualValues(t, racers, state.Revision, "no change is lost")
	require.Len(t, state.Members, racers)
}

func racedReceipt(t *testing.T, s Store) {
	session := newSession()
	change(t, s, session, func(m domain.Mapping) domain.Mapping { return admit(t, m, "alice", "") })
	r := receipt(session)
	receptions := make(chan ports.Reception, 16)
	var running sync.WaitGroup
	for range cap(receptions) {
		running.Go(func() {
			reception, err := s.Mappings.Receive(t.Context(), r, applying(joined(session, "alice"), false))
			if err != nil {
				t.Errorf("receive: %v", err)
			}
			receptions <- reception
		})
	}
	running.Wait()
	close(receptions)
	count := map[ports.Reception]int{}
	for reception := range receptions {
		count[reception]++
	}
	require.Equal(t, map[ports.Reception]int{ports.Stored: 1, ports.Repeated: cap(receptions) - 1}, count)
	require.Len(t, s.Published(t, session), 3)
}

func independent(t *testing.T, s Store) {
	var running sync.WaitGroup
	for range 8 {
		session := newSession()
		running.Go(func() {
			change(t, s, session, func(m domain.Mapping) domain.Mapping {
				return admit(t, admit(t, admit(t, m, "alice", ""), "bob", ""), "carol", "")
			})
			for _, user := range []string{"alice", "bob", "carol"} {
				reception, err := s.Mappings.Receive(t.Context(), receipt(session), applying(joined(session, user), false))
				if err != nil || reception != ports.Stored {
					t.Errorf("receive: %s %v", reception, err)
				}
			}
			if got := len(s.Published(t, session)); got != 5 {
				t.Errorf("%d events to publish", got)
			}
		})
	}
	running.Wait()
}
