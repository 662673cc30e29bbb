//go:build integration

package systemtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// tokenSessions are the sessions whose owners ask for tokens in turn, so that no two who ask at once wait for the same one.
const tokenSessions = 64

// BenchmarkTokens tells how long a token takes from the request to the answer, through the API, the queue, the bridge and back, and how many
// a second that makes, one after the other and many at once; beside it, how long it takes to make such a token and nothing else.
func BenchmarkTokens(b *testing.B) {
	s := stack.Released(b)
	api := callplane.New(s.API.Base()) // The stack's own holds each answer against the API's description, which takes longer than answering.
	b.Cleanup(api.Close)
	sessions := make([]string, tokenSessions)
	for n := range sessions {
		session, err := api.As(owner(n)).Create(b.Context(), callplane.NewSession{Kind: "audio"})
		require.NoError(b, err)
		sessions[n] = session.SessionID
	}
	one, err := api.As(owner(0)).Token(b.Context(), sessions[0], callplane.TokenRequest{})
	require.NoError(b, err)
	verifier, err := auth.ParseAPIToken(one.Token)
	require.NoError(b, err)
	_, grants, err := verifier.Verify(s.LiveKit.APISecret)
	require.NoError(b, err)

	b.Run("minting alone", func(b *testing.B) {
		testkit.Measure(b, 1, "tokens/s", func(int) error { return mint(s.LiveKit.APIKey, s.LiveKit.APISecret, grants) })
	})
	for _, atOnce := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d at once", atOnce), func(b *testing.B) {
			testkit.Measure(b, atOnce, "tokens/s", func(n int) error {
				token, err := api.As(owner(n%tokenSessions)).Token(b.Context(), sessions[n%tokenSessions], callplane.TokenRequest{})
				if err == nil && (token.RoomName != "call-"+sessions[n%tokenSessions] || token.Identity != owner(n%tokenSessions)+"#default") {
					err = fmt.Errorf("the token is for %s in %s", token.Identity, token.RoomName)
				}
				return err
			})
		})
	}
}

func owner(n int) string { return fmt.Sprintf("owner%d", n) }

// mint makes a token like another one with LiveKit's own SDK.
func mint(key, secret string, like *auth.ClaimGrants) error {
	_, err := auth.NewAccessToken(key, secret).SetIdentity(like.Identity).SetName(like.Name).SetMetadata(like.Metadata).
		SetValidFor(10 * time.Minute).SetVideoGrant(like.Video).SetRoomConfig((*livekit.RoomConfiguration)(like.RoomConfig)).ToJWT()
	return err
}
