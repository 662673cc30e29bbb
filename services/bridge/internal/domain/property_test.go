package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

var reasons = []events.LeaveReason{
	events.LeaveClientInitiated, events.LeaveParticipantRemoved, events.LeaveRoomDeleted, events.LeaveRoomClosed,
	events.LeaveDuplicateIdentity, events.LeaveMigration, events.LeaveConnectionTimeout, events.LeaveUnknown,
}

func anyFact(t *rapid.T) domain.Fact {
	r := rapid.IntRange(0, 2).Draw(t, "room")
	user := rapid.SampledFrom([]string{"alice", "bob", "mallory"}).Draw(t, "user")
	n := r*100 + rapid.IntRange(1, 4).Draw(t, "connection")
	ms := n*1000 + rapid.IntRange(0, 5000).Draw(t, "ms")
	sid := rapid.SampledFrom([]string{"TR_1", "TR_2"}).Draw(t, "track")
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		return started(r)
	case 1:
		return finished(r, ms)
	case 2:
		return left(r, user, n, ms, rapid.SampledFrom(reasons).Draw(t, "reason"))
	case 3:
		return published(r, user, n, sid)
	case 4:
		return unpublished(r, user, n, sid, ms)
	default:
		return joined(r, user, n)
	}
}

func anyListing(t *rapid.T) domain.Listing {
	if rapid.IntRange(0, 3).Draw(t, "no room") == 0 {
		return domain.Listing{}
	}
	r := rapid.IntRange(0, 2).Draw(t, "listed room")
	l := domain.Listing{Room: room(r)}
	for _, user := range []string{"alice", "bob", "mallory"} {
		if rapid.Bool().Draw(t, "listed") {
			p := active(user, r*100+rapid.IntRange(1, 4).Draw(t, "listed connection"), rapid.SampledFrom([]string{"TR_1", "TR_2"}).Draw(t, "listed track"))
			p.State = rapid.SampledFrom([]domain.ListedState{domain.Active, domain.Active, domain.Connecting}).Draw(t, "listed state")
			l.Participants = append(l.Participants, p)
		}
	}
	return l
}

// shadow replays a log and holds it to what every log must keep.
type shadow struct {
	connecting, connected, disconnected bool
	final                               bool
	removed                             map[string]bool   // users who are no members at present
	present                             map[string]string // by identity: present or reconnecting
	interrupted                         bool
	tracks                              map[string]bool
	ids                                 map[string]bool
}

func (s *shadow) anybody(presence string) bool {
	for _, p := range s.present {
		if p == presence {
			return true
		}
	}
	return false
}

// see takes an event as the sessions service would.
func (s *shadow) see(t require.TestingT, e domain.Event) {
	require.False(t, s.ids[e.ID], "an id is given once: %s", e.Payload.EventType())
	s.ids[e.ID] = true
	switch p := e.Payload.(type) {
	case events.CallConnectingPayload:
		require.False(t, s.connecting || s.connected || s.final)
		s.connecting = true
	case events.CallConnectedPayload:
		require.True(t, s.connecting)
		require.False(t, s.connected || s.final)
		s.connected = true
	case events.CallParticipantJoinedPayload:
		require.True(t, s.connected)
		require.NotContains(t, s.present, p.Identity)
		require.False(t, s.disconnected || s.final)
		require.NotContains(t, p.Identity, "mallory")
		require.False(t, s.removed[p.UserID], "who was removed is not shown")
		s.present[p.Identity] = "present"
	case events.CallParticipantReconnectingPayload:
		require.Equal(t, "present", s.present[p.Identity])
		require.False(t, s.final)
		s.present[p.Identity] = "reconnecting"
	case events.CallParticipantReconnectedPayload:
		require.Equal(t, "reconnecting", s.present[p.Identity])
		require.False(t, s.final || s.disconnected)
		s.present[p.Identity] = "present"
	case events.CallReconnectingPayload:
		require.True(t, s.connected && s.anybody("reconnecting"))
		require.False(t, s.interrupted || s.disconnected || s.final || s.anybody("present"))
		s.interrupted = true
	case events.CallReconnectedPayload:
		require.True(t, s.interrupted && s.anybody("present"))
		require.False(t, s.disconnected || s.final)
		s.interrupted = false
	case events.CallParticipantLeftPayload:
		require.Contains(t, s.present, p.Identity)
		for key := range s.tracks {
			require.NotContains(t, key, p.Identity, "tracks end before their participant leaves")
		}
		delete(s.present, p.Identity)
	case events.CallTrackPublishedPayload:
		key := p.Identity + p.ParticipantSID + p.TrackSID
		require.Equal(t, "present", s.present[p.Identity])
		require.False(t, s.tracks[key] || s.disconnected || s.final)
		s.tracks[key] = true
	case events.CallTrackUnpublishedPayload:
		key := p.Identity + p.ParticipantSID + p.TrackSID
		require.True(t, s.tracks[key])
		delete(s.tracks, key)
	case events.CallDisconnectedPayload:
		require.True(t, s.connected)
		require.False(t, s.disconnected)
		require.Empty(t, s.present)
		require.Empty(t, s.tracks)
		s.disconnected = true
	default:
		require.Fail(t, "unexpected event", "%T", p)
	}
}

func TestEveryLogKeepsItsRules(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newCall(t)
		s := &shadow{removed: map[string]bool{}, present: map[string]string{}, tracks: map[string]bool{}, ids: map[string]bool{}}
		end := rapid.IntRange(0, 80).Draw(rt, "finalized at")
		for i := range rapid.IntRange(0, 60).Draw(rt, "facts") {
			if i == end {
				c.mapping, _ = c.mapping.Finalize(9)
				s.final = true
			}
			if rapid.IntRange(0, 9).Draw(rt, "membership") == 0 {
				user := rapid.SampledFrom([]string{"alice", "bob"}).Draw(rt, "member")
				s.removed[user] = !s.removed[user]
				c.learn(domain.Member{UserID: user, Role: map[bool]events.Role{false: events.RoleViewer}[s.removed[user]], Version: int64(i + 2), Removed: s.removed[user]})
			}
			f := anyFact(rt)
			from := len(c.log)
			c.hear(f)
			for _, standing := range c.last.Permissions {
				require.True(rt, s.final || s.disconnected || standing.Removed == s.removed[standing.UserID])
			}
			for _, e := range c.log[from:] {
				s.see(rt, e)
			}
			if rapid.IntRange(0, 3).Draw(rt, "look") == 0 {
				from = len(c.log)
				c.lookTwice(anyListing(rt), i*10_000)
				c.expire(anyListing(rt), i*10_000+rapid.IntRange(0, 40_000).Draw(rt, "expire at"))
				for _, e := range c.log[from:] {
					s.see(rt, e)
				}
				continue
			}
			settled := c.mapping
			require.Empty(rt, c.hear(f), "a repeated fact says nothing new")
			require.Equal(rt, settled, c.mapping)
		}
		from := len(c.log)
		c.hear(finished(9, 2_000_000))
		c.expire(domain.Listing{}, 10_000_000)
		for _, e := range c.log[from:] {
			s.see(rt, e)
		}
		state := c.mapping.State()
		require.Equal(rt, state.ConnectedAt.IsZero(), state.DisconnectedAt.IsZero(), "a finished room is disconnected where it was connected")
		for _, p := range state.Participants {
			require.False(rt, p.Shown())
		}
	})
}
