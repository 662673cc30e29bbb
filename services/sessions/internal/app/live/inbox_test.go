package live

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// TestASweepWakesOnlyWhoHasToRead: there are thousands of streams, and for nearly all nothing has happened.
func TestASweepWakesOnlyWhoHasToRead(t *testing.T) {
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	found := func(after time.Duration, ends map[string]int64) sweepFound {
		return sweepFound{ends: ends, since: begin.Add(after - time.Second - overlap), asOf: begin.Add(after)}
	}
	resting := func(t *testing.T) *UserStream {
		t.Helper()
		s := &UserStream{box: newInbox(), cursor: begin, sealed: "begin", seen: map[string]mark{"known": {seq: 7, at: begin}}}
		require.True(t, s.box.rest(s))
		return s
	}

	t.Run("nothing new moves the cursor", func(t *testing.T) {
		s := resting(t)
		for n := range 3 {
			after := time.Duration(n+1) * time.Second
			s.box.sweep(found(after, map[string]int64{"known": 7}))
			require.Equal(t, begin.Add(after), s.cursor)
			require.Empty(t, s.sealed)
		}
		require.Empty(t, s.box.signal)
		require.Empty(t, s.box.tidings)
	})

	t.Run("something new wakes, and the cursor waits until it was read", func(t *testing.T) {
		s := resting(t)
		s.box.sweep(found(time.Second, map[string]int64{"known": 8}))
		require.True(t, s.behind)
		require.Len(t, s.box.signal, 1)
		s.box.sweep(found(2*time.Second, nil))
		require.Equal(t, begin, s.cursor)
	})

	t.Run("a sweep that does not go back far enough has the log read", func(t *testing.T) {
		s := resting(t)
		s.box.sweep(sweepFound{since: begin, asOf: begin.Add(time.Second)})
		require.True(t, s.behind)
		require.Len(t, s.box.signal, 1)
		require.Equal(t, begin, s.cursor)
	})

	t.Run("behind a commit it waits for its turn", func(t *testing.T) {
		s := resting(t)
		s.box.put(ports.Appended{SessionID: "known"})
		s.box.sweep(found(time.Second, map[string]int64{"known": 8}))
		require.False(t, s.behind)
		require.Equal(t, begin, s.cursor)
		require.Len(t, s.box.tidings, 2)
		require.False(t, s.box.rest(s), "there is something to do")
	})

	t.Run("while the stream works too", func(t *testing.T) {
		s := resting(t)
		s.box.rise()
		s.box.sweep(found(time.Second, nil))
		require.Equal(t, begin, s.cursor)
		require.Len(t, s.box.tidings, 1)
		require.Len(t, s.box.signal, 1)
	})
}
