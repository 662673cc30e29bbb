package domain_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

func (w *world) setMember(caller domain.Principal, user string, role events.Role) (domain.MemberChange, error) {
	w.t.Helper()
	w.tick()
	change, err := w.session.SetMember(caller, events.Member{UserID: user, Role: role}, w.now)
	w.appendDrafts(change.Drafts)
	return change, err
}

func (w *world) removeMember(caller domain.Principal, user string) error {
	w.t.Helper()
	w.tick()
	drafts, err := w.session.RemoveMember(caller, user, w.now)
	w.appendDrafts(drafts)
	return err
}

func user(id string) domain.Principal { return domain.Principal{UserID: id} }

var admin = domain.Principal{UserID: "support", Scopes: []domain.Scope{domain.ScopeAdmin}}

// aTeam is a session of the owner alice, another host, a participant and a viewer.
func aTeam(t checker) *world {
	return newWorld(t, domain.Spec{Members: []events.Member{
		{UserID: "hal", Role: events.RoleHost}, {UserID: "bob", Role: events.RoleParticipant}, {UserID: "vic", Role: events.RoleViewer},
	}})
}

// callers are one of each that may come.
var callers = map[string]domain.Principal{
	"owner": user("alice"), "host": user("hal"), "participant": user("bob"), "viewer": user("vic"), "stranger": user("mallory"), "admin": admin,
	"reader":   {UserID: "audit", Scopes: []domain.Scope{domain.ScopeRead}},
	"recorder": {UserID: "scribe", Scopes: []domain.Scope{domain.ScopeEvents, domain.ScopeUsage}},
}

// TestWhoMayChangeMembers is the whole table: what each caller gets for each change. Who is not listed gets what "others" get.
func TestWhoMayChangeMembers(t *testing.T) {
	outside := map[string]error{"stranger": domain.ErrNotFound, "recorder": domain.ErrNotFound}
	for name, test := range map[string]struct {
		do   func(w *world, caller domain.Principal) error
		want map[string]error
	}{
		"add a viewer":         {set("carol", events.RoleViewer), allowed("owner", "host", "admin")},
		"add a host":           {set("carol", events.RoleHost), allowed("owner", "admin")},
		"promote to speak":     {set("vic", events.RoleParticipant), allowed("owner", "host", "admin")},
		"promote to host":      {set("bob", events.RoleHost), allowed("owner", "admin")},
		"demote to watch":      {set("bob", events.RoleViewer), allowed("owner", "host", "admin")},
		"demote a host":        {set("hal", events.RoleParticipant), allowed("owner", "admin")},
		"leave all as it is":   {set("hal", events.RoleHost), allowed("owner", "host", "admin")},
		"remove a participant": {remove("bob"), allowed("owner", "host", "admin", "participant")},
		"remove a viewer":      {remove("vic"), allowed("owner", "host", "admin", "viewer")},
		"remove a host":        {remove("hal"), allowed("owner", "admin", "host")},
		"remove nobody":        {remove("nobody"), all(domain.ErrNotAMember, "owner", "host", "admin")},
		"remove the owner":     {remove("alice"), all(domain.ErrOwnerImmutable, "owner", "host", "admin")},
		"demote the owner":     {set("alice", events.RoleViewer), all(domain.ErrOwnerImmutable, "owner", "host", "admin")},
		"keep the owner":       {set("alice", events.RoleHost), allowed("owner", "host", "admin")},
	} {
		for who, caller := range callers {
			t.Run(name+" as "+who, func(t *testing.T) {
				w := aTeam(t)
				before := w.session.Snapshot()
				want, listed := test.want[who]
				if !listed {
					want = domain.ErrForbidden
				}
				if refusal, is := outside[who]; is {
					want = refusal
				}
				err := test.do(w, caller)
				require.ErrorIs(t, err, want)
				if want != nil {
					require.Equal(t, before, w.session.Snapshot(), "what is refused changes nothing")
				}
				w.requireReplays()
			})
		}
	}
}

func allowed(who ...string) map[string]error { return all(nil, who...) }

func all(err error, who ...string) map[string]error {
	want := map[string]error{}
	for _, w := range who {
		want[w] = err
	}
	return want
}

func set(userID string, role events.Role) func(*world, domain.Principal) error {
	return func(w *world, caller domain.Principal) error {
		_, err := w.setMember(caller, userID, role)
		return err
	}
}

func remove(userID string) func(*world, domain.Principal) error {
	return func(w *world, caller domain.Principal) error { return w.removeMember(caller, userID) }
}

func TestMembersComeChangeAndGo(t *testing.T) {
	w := aTeam(t)
	change, err := w.setMember(user("hal"), "carol", events.RoleViewer)
	require.NoError(t, err)
	require.True(t, change.Added)
	change, err = w.setMember(user("hal"), "carol", events.RoleViewer)
	require.NoError(t, err)
	require.Equal(t, domain.MemberChange{}, change, "the role already held is a replay")
	change, err = w.setMember(user("alice"), "carol", events.RoleHost)
	require.NoError(t, err)
	require.False(t, change.Added)
	require.NoError(t, w.removeMember(user("carol"), "carol"))
	require.ErrorIs(t, w.removeMember(user("carol"), "carol"), domain.ErrNotFound, "who has left is a stranger")
	require.EqualValues(t, 4, w.session.Version())
	require.Equal(t, []events.Type{events.CallCreated, events.CallMemberAdded, events.CallMemberUpdated, events.CallMemberRemoved}, w.types())
	removed, err := events.DecodePayload[events.CallMemberRemovedPayload](w.log[3].Envelope)
	require.NoError(t, err)
	require.Equal(t, events.CallMemberRemovedPayload{UserID: "carol", SessionVersion: 4}, removed)
	require.Equal(t, events.Actor{Type: events.ActorUser, ID: "carol"}, w.log[3].Envelope.Actor)
	w.requireReplays()
}

func TestAFinalSessionKeepsItsMembers(t *testing.T) {
	w := aTeam(t)
	require.NoError(t, w.patch(domain.Patch{Status: ptr(events.StatusEnded)}))
	_, err := w.setMember(admin, "carol", events.RoleViewer)
	require.ErrorIs(t, err, domain.ErrSessionFinal)
	_, err = w.setMember(user("alice"), "bob", events.RoleViewer)
	require.ErrorIs(t, err, domain.ErrSessionFinal)
	require.ErrorIs(t, w.removeMember(user("bob"), "bob"), domain.ErrSessionFinal)
	_, err = w.setMember(user("alice"), "bob", events.RoleParticipant)
	require.NoError(t, err, "nothing would change")
}

func TestMembersHaveALimitAndAForm(t *testing.T) {
	w := aTeam(t)
	for i := range domain.MaxMembers - 4 {
		_, err := w.setMember(user("alice"), fmt.Sprintf("user%d", i), events.RoleViewer)
		require.NoError(t, err)
	}
	var invalid *domain.InvalidError
	_, err := w.setMember(user("alice"), "one-too-many", events.RoleViewer)
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, domain.FaultTooMany, invalid.Faults[0].Code)
	_, err = w.setMember(user("alice"), "bob", events.RoleViewer)
	require.NoError(t, err, "a change is no addition")
	require.NoError(t, w.removeMember(user("alice"), "bob"))
	_, err = w.setMember(user("alice"), "one-more", events.RoleViewer)
	require.NoError(t, err)

	_, err = w.setMember(user("alice"), "two words", "king")
	require.ErrorAs(t, err, &invalid)
	require.Len(t, invalid.Faults, 2)
}
