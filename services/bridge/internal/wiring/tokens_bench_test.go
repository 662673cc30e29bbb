//go:build integration

package wiring

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/bridge/internal/adapters/livekit"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// tokenSessions are the sessions for which tokens are asked in turn, so that no two at once wait
// for the same one.
const tokenSessions = 64

// BenchmarkTokenCommands tells how long a token takes by way of the queue, the bridge and back, and
// how many a second that makes; beside it, how long it takes to make one and nothing else.
func BenchmarkTokenCommands(b *testing.B) {
	a := newAlone(b)
	a.start(b)
	sessions := a.admit(b, tokenSessions)
	b.Run("minting alone", func(b *testing.B) {
		tokens := livekit.NewTokens(livekit.TokenConfig{
			APIKey: benchedKey, APISecret: config.Secret(benchedSecret), PublicURL: "ws://127.0.0.1:1",
			EmptyTimeout: 5 * time.Minute, DepartureTimeout: 20 * time.Second, Now: time.Now,
		})
		testkit.Measure(b, 1, "tokens/s", func(n int) error {
			session := sessions[n%len(sessions)]
			_, _, _, err := tokens.Issue(ports.TokenGrant{
				RoomName: domain.RoomName(session), Grant: domain.Grant{Identity: "alice#default", UserID: "alice", Role: events.RoleHost}, TTL: time.Minute,
			})
			return err
		})
	})
	for _, atOnce := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d at once", atOnce), func(b *testing.B) {
			testkit.Measure(b, atOnce, "tokens/s", func(n int) error {
				_, err := a.sessions.token(sessions[n%len(sessions)], "alice", events.RoleParticipant)
				return err
			})
		})
	}
	require.Equal(b, 2*tokenSessions, a.count(`SELECT count(*) FROM participants`), "who asks again gets the same seat")
}
