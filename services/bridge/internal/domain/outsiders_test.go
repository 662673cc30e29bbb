package domain_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// outsider is listed without a token of ours.
func outsider(identity string, kind domain.Kind) domain.Listed {
	return domain.Listed{Connection: domain.Connection{Identity: identity, SID: "PA_x", JoinedAt: at(1)}, Kind: kind, State: domain.Active}
}

func joinedAs(identity string) domain.Fact {
	return domain.ParticipantJoined{
		Observation: seen(0, 3000), Connection: domain.Connection{Identity: identity, SID: "PA_x", JoinedAt: at(3000)},
	}
}

func TestASecondConnectionOnATokenIsPutOut(t *testing.T) {
	const ghost = "alice#default#ghost"
	c := inCall(t)
	want := []domain.DesiredPermission{{Identity: ghost, Removed: true}}
	require.Empty(t, c.hear(joinedAs(ghost)))
	require.Equal(t, want, c.last.Permissions)
	require.Equal(t, domain.Unmapped, c.last.Outcome)
	require.Empty(t, c.lookTwice(listed(0, active("alice", 1), active("bob", 2), outsider(ghost, domain.Standard)), 0))
	require.Equal(t, want, c.last.Permissions, "as often as it is listed")
	c.hear(joinedAs("stranger#default#ghost"))
	require.Empty(t, c.last.Permissions, "it extends no identity of ours")
	for _, unstorable := range []string{ghost + strings.Repeat("x", 2000), ghost + "\x00"} {
		c.hear(joinedAs(unstorable))
		require.Empty(t, c.last.Permissions)
		_, asked := c.mapping.NextCheckAt()
		require.True(t, asked, "the listing shows it at once")
		c.expire(listed(0, active("alice", 1), active("bob", 2), outsider(unstorable, domain.Standard)), 3000)
		require.Equal(t, []string{unstorable}, c.last.Remove)
	}
	require.False(t, c.mapping.Connected([]domain.Listed{outsider(ghost, domain.Standard)}))
}

func TestAMappedIdentityIsNeverTakenForASecondConnection(t *testing.T) {
	c := newCall(t)
	grant := c.admit("alice#default", "x", events.RoleParticipant)
	require.Equal(t, "#YWxpY2UjZGVmYXVsdA#x", grant.Identity, "no member can become another one by a name behind a #")
	require.Equal(t, grant, c.admit("alice#default", "x", events.RoleParticipant))
	c.hear(joinedAs(grant.Identity))
	require.Empty(t, c.last.Permissions)
	require.Equal(t, domain.Applied, c.last.Outcome)
	longest, err := domain.Identity(strings.Repeat("#", 128), strings.Repeat("d", 64))
	require.NoError(t, err)
	require.LessOrEqual(t, len(longest), domain.MaxIdentity)
}

func TestWhoCountsAsConnected(t *testing.T) {
	c := newCall(t)
	c.learn(removed("bob", 2))
	for name, tc := range map[string]struct {
		listed    domain.Listed
		connected bool
	}{
		"a member":         {active("alice", 1), true},
		"a removed member": {active("bob", 1), false},
		"a phone":          {outsider("+4930123", domain.Phone), true},
		"a stranger":       {outsider("stranger", domain.Standard), true},
		"an agent":         {outsider("agent", domain.Agent), false},
		"a recorder":       {outsider("EG_1", domain.Recorder), false},
		"unreadable":       {outsider("\xff", domain.Standard), true},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.connected, c.mapping.Connected([]domain.Listed{tc.listed}))
		})
	}
	require.False(t, c.mapping.Connected(nil))
}

func TestARoomThatNoMemberAttends(t *testing.T) {
	for name, tc := range map[string]struct {
		who  []domain.Listed
		ends int // ms after the first look at which the call ends; 0: not at all
	}{
		"empty":                     {nil, 30_000},
		"a bot":                     {[]domain.Listed{outsider("bot", domain.Standard)}, 300_000},
		"an agent":                  {[]domain.Listed{outsider("agent", domain.Agent)}, 300_000},
		"a recorder":                {[]domain.Listed{outsider("EG_1", domain.Recorder)}, 300_000},
		"unreadable":                {[]domain.Listed{outsider("\x00", domain.Standard)}, 300_000},
		"a phone":                   {[]domain.Listed{outsider("+4930123", domain.Phone)}, 0},
		"a phone and an agent":      {[]domain.Listed{outsider("+4930123", domain.Phone), outsider("agent", domain.Agent)}, 0},
		"a member on their way in":  {[]domain.Listed{{Connection: conn("alice", 9), State: domain.Connecting}}, 0},
		"an entry of who hung up":   {[]domain.Listed{active("alice", 1)}, 30_000},
		"a member of whom no word ": {[]domain.Listed{active("alice", 9)}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := inCall(t)
			c.hear(left(0, "alice", 1, 5000, events.LeaveClientInitiated), left(0, "bob", 2, 6000, events.LeaveClientInitiated))
			for ms := 0; ms <= 1_000_000; ms += 10_000 {
				c.look(listed(0, tc.who...), ms, domain.Missing{}, false)
				require.Equal(t, tc.ends > 0 && ms >= tc.ends, c.mapping.Over(), "after %d ms", ms)
				require.Equal(t, c.mapping.Over(), c.last.DeleteRoom)
			}
			if tc.ends > 0 {
				require.Equal(t, "completed", reasonOf(t, c.log[len(c.log)-1]))
			}
		})
	}
}

func TestAStrangerWhoWaitsForMembersIsNotWaitedForWithoutEnd(t *testing.T) {
	c := newCall(t)
	bot := listed(0, outsider("bot", domain.Standard))
	c.look(bot, 0, domain.Missing{}, false)
	c.look(bot, 299_000, domain.Missing{}, false)
	require.False(t, c.last.DeleteRoom)
	c.look(bot, 300_000, domain.Missing{}, false)
	require.True(t, c.last.DeleteRoom)
	require.False(t, c.mapping.Over(), "a member may still come")
}
