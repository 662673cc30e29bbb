//go:build integration

package systemtest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/livekit/protocol/auth"
	"github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

const (
	// tokenSessions are the sessions whose owners ask for tokens in turn, so that no two who ask at once wait for the same one.
	tokenSessions = 64
	// tokenRound is how many are asked for between one look at the clock and the next, by each who asks.
	tokenRound = 20
)

// BenchmarkTokens tells how long a token takes from the request to the answer, through the API, the queue, the bridge and back, and how many
// a second that makes, one after the other and many at once; by turns with making such a token and committing a row in the bridge's database,
// which has to happen at least. ratio is the one median as a multiple of the other.
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
	mint := newMint(b, s, api, sessions[0])
	ask := func(n int) error {
		token, err := api.As(owner(n%tokenSessions)).Token(b.Context(), sessions[n%tokenSessions], callplane.TokenRequest{})
		if err == nil && (token.RoomName != "call-"+sessions[n%tokenSessions] || token.Identity != owner(n%tokenSessions)+"#default") {
			err = fmt.Errorf("the token is for %s in %s", token.Identity, token.RoomName)
		}
		return err
	}
	testkit.NewMeasured("warming up").Round(b, tokenSessions, 16, ask)
	for _, atOnce := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d at once", atOnce), func(b *testing.B) {
			ours, theirs := testkit.NewMeasured("product"), testkit.NewMeasured("floor")
			profiled := profileBoth(b, s)
			for b.Loop() {
				theirs.Round(b, tokenRound*atOnce, atOnce, func(int) error { return mint.do(b.Context()) })
				ours.Round(b, tokenRound*atOnce, atOnce, ask)
			}
			profiled()
			b.ReportMetric(ours.Rate(), "tokens/s")
			b.ReportMetric(ours.Percentile(50), "p50-ms")
			b.ReportMetric(ours.Percentile(99), "p99-ms")
			b.ReportMetric(theirs.Rate(), "floor/s")
			b.ReportMetric(theirs.Percentile(50), "floor-p50-ms")
			b.ReportMetric(ours.Percentile(50)/theirs.Percentile(50), "ratio")
		})
	}
}

func owner(n int) string { return fmt.Sprintf("owner%d", n) }

// mint is what has to happen at least for a token: it is made, and something is committed.
type mint struct {
	key, secret string
	like        *auth.ClaimGrants
	db          *pgxpool.Pool
}

func newMint(b *testing.B, s *stack.Stack, api *callplane.Client, sessionID string) *mint {
	b.Helper()
	one, err := api.As(owner(0)).Token(b.Context(), sessionID, callplane.TokenRequest{})
	require.NoError(b, err)
	verifier, err := auth.ParseAPIToken(one.Token)
	require.NoError(b, err)
	_, grants, err := verifier.Verify(s.LiveKit.APISecret)
	require.NoError(b, err)
	config, err := pgxpool.ParseConfig(s.BridgeDB.OwnerURL)
	require.NoError(b, err)
	config.MaxConns = 16
	db, err := pgxpool.NewWithConfig(b.Context(), config)
	require.NoError(b, err)
	b.Cleanup(db.Close)
	_, err = db.Exec(b.Context(), floorTable)
	require.NoError(b, err)
	return &mint{key: s.LiveKit.APIKey, secret: s.LiveKit.APISecret, like: grants, db: db}
}

// do makes a token like the other one with LiveKit's own SDK, and commits a row.
func (m *mint) do(ctx context.Context) error {
	token, err := auth.NewAccessToken(m.key, m.secret).SetIdentity(m.like.Identity).SetName(m.like.Name).SetMetadata(m.like.Metadata).
		SetValidFor(10 * time.Minute).SetVideoGrant(m.like.Video).SetRoomConfig((*livekit.RoomConfiguration)(m.like.RoomConfig)).ToJWT()
	if err != nil {
		return err
	}
	_, err = m.db.Exec(ctx, floorRow, []byte(token))
	return err
}
