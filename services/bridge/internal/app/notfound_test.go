package app_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/app"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// forgetful is a provider whose store finds neither rooms nor participants, whatever it lists.
type forgetful struct {
	*media

	inside  map[string]bool // who can be removed all the same
	removed []string
}

func (*forgetful) Delete(context.Context, string) error { return ports.ErrNotFound }

func (f *forgetful) Remove(_ context.Context, _, identity string) error {
	f.removed = append(f.removed, identity)
	if f.inside[identity] {
		delete(f.inside, identity)
		return nil
	}
	return ports.ErrNotFound
}

func TestARoomThatIsNotFoundAndListedIsNotGone(t *testing.T) {
	b, f := setup(t), &forgetful{media: &media{rooms: map[string]domain.Listing{room: sees("alice#default")}}}
	d := &app.DeleteRooms{
		Deletions: b.store, Rooms: f, Media: f, Participants: f, Reader: b.store, Tally: b.tally, Log: slog.New(slog.DiscardHandler), Poll: time.Hour,
	}
	b.askDeletion(session)
	require.NoError(t, d.Due(t.Context()))
	require.Equal(t, []string{"deletion:postponed"}, b.tally.take())
}

func TestTheRoomOfAFinalSessionIsEmptiedThoughItIsNotFound(t *testing.T) {
	b, f := setup(t), &forgetful{media: &media{}, inside: map[string]bool{"alice#default": true}}
	_, err := b.token(nil)
	require.NoError(t, err)
	require.NoError(t, b.webhook(joinedBy("alice#default", "EV_1")))
	require.NoError(t, b.follow(events.CallEndedPayload{Reason: "completed", SessionVersion: 2, EndedAt: events.At(moment)}))
	b.tally.take()
	d := &app.DeleteRooms{
		Deletions: b.store, Rooms: f, Media: f, Participants: f, Reader: b.store, Tally: b.tally, Log: slog.New(slog.DiscardHandler), Poll: 10 * time.Millisecond,
	}
	run(t, d.Run)
	require.Eventually(t, func() bool {
		_, waiting, err := b.store.Next(t.Context())
		return err == nil && !waiting
	}, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, []string{"deletion:postponed", "deletion:deleted"}, b.tally.take())
	require.Equal(t, []string{"alice#default", "alice#default"}, f.removed, "until nobody is found any more")
}

func TestAParticipantWhoIsNotFoundAndListedIsHeldToTheirPermissions(t *testing.T) {
	b, f := setup(t), &forgetful{media: &media{rooms: map[string]domain.Listing{room: sees("alice#default")}}}
	_, err := b.token(nil)
	require.NoError(t, err)
	b.remove("alice", 2)
	b.tally.take()
	s := &app.SyncPermissions{List: b.store, Participants: f, Media: f, Tally: b.tally, Log: slog.New(slog.DiscardHandler), Poll: 10 * time.Millisecond}
	require.NoError(t, s.Due(t.Context()))
	require.Equal(t, []string{"enforcement:removal:postponed"}, b.tally.take())
	f.set(room, sees())
	run(t, s.Run)
	require.Eventually(t, func() bool {
		_, waiting, err := b.store.NextPermissionSync(t.Context())
		return err == nil && !waiting
	}, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, []string{"enforcement:removal:done"}, b.tally.take())
}

// A comparison that only notices what doesn't hold yet leaves the back-off as it is.
func TestABackOffIsNotResetByWhoNotices(t *testing.T) {
	b, m := setup(t), &media{rooms: map[string]domain.Listing{room: sees("alice#default")}}
	_, err := b.token(nil)
	require.NoError(t, err)
	require.NoError(t, b.webhook(joinedBy("alice#default", "EV_1")))
	b.remove("alice", 2)
	claimed, err := b.store.ClaimPermissionSyncs(t.Context(), 1, time.Minute)
	require.NoError(t, err)
	require.NoError(t, b.store.PostponePermissionSync(t.Context(), claimed[0], time.Hour))
	_, err = b.replica(m, "one").reconcile.Pass(t.Context(), 0)
	require.NoError(t, err)
	wait, waiting, err := b.store.NextPermissionSync(t.Context())
	require.NoError(t, err)
	require.True(t, waiting)
	require.Greater(t, wait, 59*time.Minute)
}
