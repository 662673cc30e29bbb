package domain_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

func TestAskingAgainGivesTheSameSeat(t *testing.T) {
	c := newCall(t)
	first := c.admit("carol", "phone", events.RoleViewer)
	revision := c.mapping.Revision()
	require.Equal(t, first, c.admit("carol", "phone", events.RoleViewer))
	require.Equal(t, revision, c.mapping.Revision())
	require.Equal(t, "carol#phone", first.Identity)
	require.Equal(t, "call-"+sessionID, c.mapping.RoomName())
}

func TestFiveDevicesAMember(t *testing.T) {
	c := newCall(t)
	for _, device := range []string{"a", "b", "c", "d"} {
		c.admit("alice", device, events.RoleHost)
	}
	unchanged, _, err := c.mapping.Admit(domain.GrantRequest{UserID: "alice", DeviceID: "e", Role: events.RoleHost, SessionVersion: 2})
	require.ErrorIs(t, err, domain.ErrDeviceLimit)
	require.Equal(t, c.mapping, unchanged)
	c.admit("alice", "d", events.RoleHost)
	c.admit("bob", "e", events.RoleViewer)
}

func TestTheNewerRoleCounts(t *testing.T) {
	m := domain.New(sessionID).Learn(5, domain.Member{UserID: "alice", Role: events.RoleViewer, Version: 5})
	ask := domain.GrantRequest{UserID: "alice", Role: events.RoleParticipant, SessionVersion: 4}
	m, seat, err := m.Admit(ask)
	require.NoError(t, err)
	require.Equal(t, events.RoleViewer, seat.Role)
	ask.SessionVersion = 6
	m, seat, err = m.Admit(ask)
	require.NoError(t, err)
	require.Equal(t, events.RoleParticipant, seat.Role)
	m = m.Learn(5, domain.Member{UserID: "alice", Role: events.RoleViewer, Version: 5})
	require.Equal(t, events.RoleParticipant, m.State().Members["alice"].Role, "an old event changes nothing")
	m = m.Learn(8, domain.Member{UserID: "alice", Version: 8, Removed: true})
	_, _, err = m.Admit(ask)
	require.ErrorIs(t, err, domain.ErrNotAMember)
	ask.SessionVersion = 9
	_, _, err = m.Admit(ask)
	require.NoError(t, err, "who was invited again may come again")
}

func TestAFinalSessionAdmitsNobody(t *testing.T) {
	m, deleteRoom := domain.New(sessionID).Finalize(3)
	require.False(t, deleteRoom, "nobody was ever given a token")
	_, _, err := m.Admit(domain.GrantRequest{UserID: "alice", Role: events.RoleHost, SessionVersion: 1})
	require.ErrorIs(t, err, domain.ErrSessionFinal)

	c := newCall(t)
	c.hear(started(0), joined(0, "alice", 1), left(0, "alice", 1, 2000, events.LeaveClientInitiated), finished(0, 9000))
	_, _, err = c.mapping.Admit(domain.GrantRequest{UserID: "bob", Role: events.RoleHost, SessionVersion: 1})
	require.ErrorIs(t, err, domain.ErrSessionFinal, "the call is over, whether the session's end was heard of or not")
}

func TestIdentitiesAreInjective(t *testing.T) {
	user := rapid.StringMatching(`[!-~]{1,8}`)
	device := rapid.StringMatching(`[A-Za-z0-9_-]{0,4}`)
	rapid.Check(t, func(t *rapid.T) {
		u1, d1, u2, d2 := user.Draw(t, "u1"), device.Draw(t, "d1"), user.Draw(t, "u2"), device.Draw(t, "d2")
		one, err := domain.Identity(u1, d1)
		require.NoError(t, err)
		two, err := domain.Identity(u2, d2)
		require.NoError(t, err)
		named := func(d string) string {
			if d == "" {
				return domain.DefaultDevice
			}
			return d
		}
		require.Equal(t, u1 == u2 && named(d1) == named(d2), one == two)
	})
	for _, bad := range [][2]string{{"", "d"}, {"u", "a#b"}, {strings.Repeat("u", 256), "d"}} {
		_, err := domain.Identity(bad[0], bad[1])
		require.ErrorIs(t, err, domain.ErrInvalidIdentity)
	}
}

func TestStateIsACopy(t *testing.T) {
	c := newCall(t)
	c.hear(started(0), joined(0, "alice", 1), published(0, "alice", 1, "TR_1"))
	s := c.mapping.State()
	s.Participants["alice#default"].Tracks["TR_1"] = domain.Track{}
	delete(s.Members, "alice")
	require.NotEqual(t, s, c.mapping.State())
	require.Equal(t, c.mapping, domain.Restore(c.mapping.State()))
}
