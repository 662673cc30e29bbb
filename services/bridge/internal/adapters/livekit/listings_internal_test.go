package livekit

import (
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/bridge/internal/ports"
)

func TestFourRoomsAreAskedForAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const atOnce, rounds = 4, 3
		var names []string
		for n := range atOnce * rounds {
			names = append(names, strconv.Itoa(n))
		}
		var asked atomic.Int64
		answer := make(chan struct{})
		answers := make(chan map[string]ports.RoomAnswer)
		go func() {
			answers <- each(names, func(string) (ports.RoomAnswer, bool) {
				asked.Add(1)
				<-answer
				return ports.RoomAnswer{}, true
			})
		}()
		for round := range int64(rounds) {
			synctest.Wait()
			require.Equal(t, atOnce*(round+1), asked.Load())
			for range atOnce {
				answer <- struct{}{}
			}
		}
		require.Len(t, <-answers, len(names))
	})
}
