package portstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// Checkpoints is the suite of ports.Checkpoints. open is called once a test, and returns the same store twice.
func Checkpoints(t *testing.T, open func(t *testing.T) (StoreUnderTest, ports.Checkpoints)) {
	for name, test := range map[string]func(*testing.T, StoreUnderTest, ports.Checkpoints){
		"a checkpoint only goes forward":               testCheckpointGoesForward,
		"checkpoints are apart":                        testCheckpointsAreApart,
		"what is not there has no checkpoint":          testCheckpointOfNothing,
		"of writers at once the furthest one is kept":  testRacingCheckpoints,
		"an event that is not shown can be passed by":  testCheckpointAtHiddenEvent,
		"an event that was set aside is gone":          testCheckpointAtEventSetAside,
		"a checkpoint of somebody removed is not seen": testCheckpointOfRemoved,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, checkpoints := open(t)
			test(t, s, checkpoints)
		})
	}
}

func bobs(id string) ports.CheckpointName {
	return ports.CheckpointName{SessionID: id, Principal: "bob", Consumer: "app-1"}
}

func testCheckpointGoesForward(t *testing.T, s StoreUnderTest, c ports.Checkpoints) {
	id, log := aCall(t, s)
	_, err := c.Checkpoint(t.Context(), viewerOf("bob"), bobs(id))
	require.ErrorIs(t, err, domain.ErrNoCheckpoint)
	var before ports.Checkpoint
	for _, step := range []struct{ to, kept int }{{2, 2}, {2, 2}, {0, 2}, {5, 5}, {4, 5}, {6, 6}} {
		kept, err := c.AdvanceCheckpoint(t.Context(), viewerOf("bob"), bobs(id), log[step.to].EventID)
		require.NoError(t, err)
		require.Equal(t, log[step.kept].EventID, kept.EventID)
		require.WithinDuration(t, time.Now(), kept.UpdatedAt, time.Minute)
		require.Equal(t, time.UTC, kept.UpdatedAt.Location())
		if kept.EventID == before.EventID {
			require.Equal(t, before, kept, "what is not further changes nothing")
		}
		before = kept
		read, err := c.Checkpoint(t.Context(), viewerOf("bob"), bobs(id))
		require.NoError(t, err)
		require.Equal(t, kept, read)
	}
}

func testCheckpointsAreApart(t *testing.T, s StoreUnderTest, c ports.Checkpoints) {
	id, log := aCall(t, s)
	other, otherLog := aCall(t, s)
	_, err := c.AdvanceCheckpoint(t.Context(), viewerOf("bob"), bobs(id), log[6].EventID)
	require.NoError(t, err)
	_, err = c.AdvanceCheckpoint(t.Context(), viewerOf("bob"), bobs(other), log[6].EventID)
	require.ErrorIs(t, err, domain.ErrEventNotFound, "an event of another session")
	for _, name := range []ports.CheckpointName{
		{SessionID: other, Principal: "bob", Consumer: "app-1"}, {SessionID: id, Principal: "alice", Consumer: "app-1"},
		{SessionID: id, Principal: "bob", Consumer: "app-2"}, {SessionID: id, Principal: "bob", Consumer: "App-1"},
	} {
		_, err := c.Checkpoint(t.Context(), viewerOf(name.Principal), name)
		require.ErrorIs(t, err, domain.ErrNoCheckpoint)
		first := log[0]
		if name.SessionID == other {
			first = otherLog[0]
		}
		kept, err := c.AdvanceCheckpoint(t.Context(), viewerOf(name.Principal), name, first.EventID)
		require.NoError(t, err)
		require.Equal(t, first.EventID, kept.EventID)
	}
	kept, err := c.Checkpoint(t.Context(), ports.System(), bobs(id))
	require.NoError(t, err)
	require.Equal(t, log[6].EventID, kept.EventID)
}

func testCheckpointOfNothing(t *testing.T, s StoreUnderTest, c ports.Checkpoints) {
	id, log := aCall(t, s)
	_, err := c.AdvanceCheckpoint(t.Context(), viewerOf("bob"), bobs(id), NewID(t))
	require.ErrorIs(t, err, domain.ErrEventNotFound)
	_, err = c.Checkpoint(t.Context(), viewerOf("bob"), bobs(id))
	require.ErrorIs(t, err, domain.ErrNoCheckpoint, "what was refused left nothing")
	for _, asked := range []string{id, NewID(t)} {
		name := ports.CheckpointName{SessionID: asked, Principal: "mallory", Consumer: "x"}
		_, err = c.AdvanceCheckpoint(t.Context(), viewerOf("mallory"), name, log[0].EventID)
		require.ErrorIs(t, err, domain.ErrNotFound)
		_, err = c.Checkpoint(t.Context(), viewerOf("mallory"), name)
		require.ErrorIs(t, err, domain.ErrNotFound)
	}
}

func testRacingCheckpoints(t *testing.T, s StoreUnderTest, c ports.Checkpoints) {
	id, log := aCall(t, s)
	const rounds = 5
	group, ctx := errgroup.WithContext(t.Context())
	for range rounds {
		for _, e := range log {
			group.Go(func() error {
				_, err := c.AdvanceCheckpoint(ctx, viewerOf("bob"), bobs(id), e.EventID)
				return err
			})
		}
	}
	require.NoError(t, group.Wait())
	kept, err := c.Checkpoint(t.Context(), viewerOf("bob"), bobs(id))
	require.NoError(t, err)
	require.Equal(t, log[len(log)-1].EventID, kept.EventID)
}

func testCheckpointAtHiddenEvent(t *testing.T, s StoreUnderTest, c ports.Checkpoints) {
	id := created(t, s).Session.ID()
	hidden := Said(t, id, NewID(t), Billed())
	mustTake(t, s, domain.Append, hidden)
	kept, err := c.AdvanceCheckpoint(t.Context(), viewerOf("bob"), bobs(id), hidden.EventID)
	require.NoError(t, err)
	require.Equal(t, hidden.EventID, kept.EventID)
}

func testCheckpointAtEventSetAside(t *testing.T, s StoreUnderTest, c ports.Checkpoints) {
	id, log := aCall(t, s)
	late := Fact(t, id, NewID(t), Connected(id, "alice"))
	_, err := c.AdvanceCheckpoint(t.Context(), viewerOf("bob"), bobs(id), late.EventID)
	require.ErrorIs(t, err, domain.ErrEventNotFound, "it may be on its way")
	mustTake(t, s, domain.Quarantine, late)
	_, err = c.AdvanceCheckpoint(t.Context(), viewerOf("bob"), bobs(id), late.EventID)
	var gone *ports.WatermarkGoneError
	require.ErrorAs(t, err, &gone)
	require.Equal(t, log[0].EventID, gone.Earliest)
	_, err = c.AdvanceCheckpoint(t.Context(), viewerOf("mallory"), bobs(id), late.EventID)
	require.ErrorIs(t, err, domain.ErrNotFound)
	other, _ := aCall(t, s)
	_, err = c.AdvanceCheckpoint(t.Context(), viewerOf("bob"), bobs(other), late.EventID)
	require.ErrorIs(t, err, domain.ErrEventNotFound, "an event of another session")

	altered := Fact(t, id, log[1].EventID, Connected(id, "bob"))
	mustTake(t, s, domain.Quarantine, altered)
	kept, err := c.AdvanceCheckpoint(t.Context(), viewerOf("bob"), bobs(id), altered.EventID)
	require.NoError(t, err, "the log holds the event, whatever was said by its name later")
	require.Equal(t, log[1].EventID, kept.EventID)
}

func testCheckpointOfRemoved(t *testing.T, s StoreUnderTest, c ports.Checkpoints) {
	id := created(t, s).Session.ID()
	log := logOf(t, s, id, 1)
	_, err := c.AdvanceCheckpoint(t.Context(), viewerOf("bob"), bobs(id), log[0].EventID)
	require.NoError(t, err)
	removeMember(t, s, id, "bob")
	_, err = c.Checkpoint(t.Context(), viewerOf("bob"), bobs(id))
	require.ErrorIs(t, err, domain.ErrNotFound)
	_, err = c.AdvanceCheckpoint(t.Context(), viewerOf("bob"), bobs(id), log[0].EventID)
	require.ErrorIs(t, err, domain.ErrNotFound)
}
