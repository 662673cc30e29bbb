package app_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/app"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// listing is who the provider lists in the session's room.
type listing struct {
	identities []string
	answering  []string // who aren't listed, and are there all the same
	err        error
}

func (l listing) Connections(_ context.Context, room string) ([]domain.Listed, error) {
	if room != domain.RoomName(session) || l.err != nil {
		return nil, l.err
	}
	return sees(l.identities...).Participants, nil
}

func (b *bench) presence(l listing, version int64) (commands.CallPresenceShown, error) {
	asked := &media{rooms: map[string]domain.Listing{room: sees(l.answering...)}}
	return app.ShowPresence{Rooms: l, Participants: asked, Mappings: b.store, Tally: b.tally}.Do(b.t.Context(), commands.CallPresence{
		CommandID: uuid.NewString(), SessionID: session, SessionVersion: version,
	})
}

func TestPresenceIsWhatTheProviderLists(t *testing.T) {
	b := setup(t)
	shown, err := b.presence(listing{}, 1)
	require.NoError(t, err)
	require.Equal(t, commands.CallPresenceShown{}, shown, "no token was given, and there is nobody")

	_, err = b.token(nil)
	require.NoError(t, err)
	b.tally.take()
	for _, tc := range []struct {
		listed []string
		want   bool
	}{{nil, false}, {[]string{"alice#default"}, true}, {[]string{"alice#default#ghost"}, false}, {[]string{"mallory#default"}, true}} {
		shown, err = b.presence(listing{identities: tc.listed}, 1)
		require.NoError(t, err)
		require.Equal(t, commands.CallPresenceShown{Connected: tc.want}, shown, "%v", tc.listed)
	}
	require.Equal(t, []string{"presence:nobody", "presence:connected", "presence:nobody", "presence:connected"}, b.tally.take())

	shown, err = b.presence(listing{answering: []string{"alice#default"}}, 1)
	require.NoError(t, err)
	require.True(t, shown.Connected, "the listing lacks her, and she answers")

	require.NoError(t, b.follow(events.CallMemberRemovedPayload{UserID: "alice", SessionVersion: 2}))
	shown, err = b.presence(listing{identities: []string{"alice#default"}}, 2)
	require.NoError(t, err)
	require.False(t, shown.Connected, "whoever was removed is never present")
}

func TestWhoHasBeenInTheCallIsNotForgotten(t *testing.T) {
	b := setup(t)
	_, err := b.token(nil)
	require.NoError(t, err)
	require.NoError(t, b.webhook(joinedBy("alice#default", "EV_1")))
	b.tally.take()
	shown, err := b.presence(listing{}, 1)
	require.NoError(t, err)
	require.Equal(t, commands.CallPresenceShown{Activated: true}, shown)
	require.Equal(t, []string{"presence:activated"}, b.tally.take())
}

func TestWhatIsNotKnownIsNeverNobody(t *testing.T) {
	b := setup(t)
	_, err := b.token(func(c *commands.TokenIssue) { c.SessionVersion = 3 })
	require.NoError(t, err)
	b.tally.take()

	_, err = b.presence(listing{err: unavailable()}, 3)
	require.Equal(t, commands.Unavailable, failureOf(t, err).Code, "LiveKit is away")
	_, err = b.presence(listing{}, 2)
	require.Equal(t, commands.StaleCommand, failureOf(t, err).Code, "the asker is late")
	_, err = b.presence(listing{err: context.DeadlineExceeded}, 3)
	require.Equal(t, commands.Unavailable, failureOf(t, err).Code)
	b.store.Fail(unavailable())
	_, err = b.presence(listing{}, 3)
	require.Equal(t, commands.Unavailable, failureOf(t, err).Code, "the database is away")
	b.store.Fail(context.Canceled)
	_, err = b.presence(listing{}, 3)
	require.True(t, failureOf(t, err).Retryable)
	b.store.Fail(errors.New("nonsense"))
	_, err = b.presence(listing{}, 3)
	require.Equal(t, commands.Internal, failureOf(t, err).Code)
}
