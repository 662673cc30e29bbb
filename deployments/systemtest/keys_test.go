//go:build integration

package systemtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

const (
	issuer   = "https://id.example.com"
	audience = "callplane"
)

// tokens issues what callers of AUTH_MODE=jwt show.
type tokens struct {
	t      *testing.T
	s      *stack.Stack
	secret string
}

// withTokens has the sessions service of a stack that is not started believe tokens alone.
func withTokens(t *testing.T, s *stack.Stack, more map[string]string) tokens {
	t.Helper()
	secret := rand.Text() + rand.Text()
	settings := map[string]string{"AUTH_MODE": "jwt", "AUTH_HS256_SECRET": secret, "AUTH_ISSUER": issuer, "AUTH_AUDIENCE": audience}
	for name, value := range more {
		settings[name] = value
	}
	s.SetSessions(t, settings, secret)
	return tokens{t: t, s: s, secret: secret}
}

// as gives a client that shows a token of the user's, good for as long from now.
func (k tokens) as(user string, good time.Duration) *callplane.Client {
	k.t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": user, "iss": issuer, "aud": audience, "exp": time.Now().Add(good).Unix(),
	}).SignedString([]byte(k.secret))
	require.NoError(k.t, err)
	return k.s.API.Bearer(token)
}

// TestKilledAnywhereInACreateWithAKey kills sessions after every statement that it has its database do, before the commit is
// sent, when half of it is, and when it is done and not answered. The caller repeats the request: there is one session, and one answer.
func TestKilledAnywhereInACreateWithAKey(t *testing.T) {
	t.Parallel()
	s := stack.Prepare(t, testkit.Rabbit(t))
	proxy, by := testkit.ProxyPostgres(t, s.SessionsDB.AppURL)
	users := withTokens(t, s, map[string]string{"DATABASE_URL": by})
	s.Sessions.Start(t)
	s.AwaitSessions(t)
	created := callplane.NewSession{Title: "once", Members: []callplane.Member{{UserID: bob, Role: "participant"}}}
	followed := proxy.Follow("nobody-kills")
	repeated(t, users.as("nobody-kills", time.Hour), created)
	messages := <-followed
	commit := slices.Index(messages, "to the server: commit")
	require.Positive(t, commit, "%v", messages)
	var made []string
	kill := func(hold func(marker string, at int) *testkit.PGFault, user string, at int) {
		api := users.as(user, time.Hour)
		fault := hold(user, at)
		defer fault.Drop()
		told := make(chan error, 1)
		go func() {
			_, _, err := api.CreateOnce(t.Context(), "key", created)
			told <- err
		}()
		select {
		case message := <-fault.Hit():
			require.Equal(t, messages[at], message)
		case err := <-told:
			require.Fail(t, "nothing was held", "%d %s: %v", at, messages[at], err)
		}
		s.Sessions.Kill(t)
		fault.Drop()
		<-told
		s.Sessions.Start(t)
		s.AwaitSessions(t)
		session := repeated(t, api, created)
		again, replayed, err := api.CreateOnce(t.Context(), "key", created)
		require.NoError(t, err)
		require.True(t, replayed)
		require.Equal(t, session, again)
		requireOneCreation(t, s, api, session.SessionID)
		made = append(made, session.SessionID)
	}
	kill(proxy.HoldTorn, "user-torn", commit)
	for at, message := range messages {
		end := message == "to the client: C" || message == "to the client: Z"
		if !end && (at < commit || !strings.HasPrefix(message, "to the server")) {
			continue // Of each statement before the commit, and of each answer, the end alone.
		}
		kill(proxy.Hold, fmt.Sprintf("user-%03d", at), at)
	}
	for _, id := range made { // Whose outbox lanes rest after a kill, until the leases of the one that was killed are over.
		ids := map[string]bool{}
		for _, e := range s.Observed.Await(t, id, 1) {
			ids[e.EventID] = true // A crash between publishing and the note of it publishes again.
		}
		require.Len(t, ids, 1)
	}
	t.Logf("killed %d times in %d messages", len(made), len(messages))
}

// requireOneCreation holds that the caller has one session, and that its beginning was logged and is to be published once.
func requireOneCreation(t *testing.T, s *stack.Stack, api *callplane.Client, sessionID string) {
	t.Helper()
	list, err := api.List(t.Context(), "", 0)
	require.NoError(t, err)
	require.Len(t, list.Items, 1)
	log, err := api.Log(t.Context(), sessionID)
	require.NoError(t, err)
	requireLines(t, log, "call.created")
	require.Equal(t, 1, count(t, s.SessionsDB.AdminURL, "SELECT count(*) FROM outbox WHERE partition_key = $1", sessionID))
}

// repeated makes the request again, as a client does that heeds retryable, and gives the session.
func repeated(t *testing.T, api *callplane.Client, created callplane.NewSession) callplane.Session {
	t.Helper()
	var session callplane.Session
	testkit.Eventually(t, stack.Patience, func(ctx context.Context) (err error) {
		session, _, err = api.CreateOnce(ctx, "key", created)
		return err
	})
	return session
}

// TestListsAndTokensInFrontOfUsers reads a list by pages, and holds that nothing is told to strangers and nothing done for old tokens.
func TestListsAndTokensInFrontOfUsers(t *testing.T) {
	t.Parallel()
	s := stack.Prepare(t, testkit.Rabbit(t))
	users := withTokens(t, s, nil)
	s.Sessions.Start(t)
	s.AwaitSessions(t)
	owner, member, stranger := users.as(alice, time.Hour), users.as(bob, time.Hour), users.as("mallory", time.Hour)

	var newest []string
	for i := range 5 {
		session, replayed, err := owner.CreateOnce(t.Context(), fmt.Sprintf("key-%d", i), callplane.NewSession{
			Members: []callplane.Member{{UserID: bob, Role: "viewer"}},
		})
		require.NoError(t, err)
		require.False(t, replayed)
		newest = append([]string{session.SessionID}, newest...)
	}
	for _, api := range []*callplane.Client{owner, member} {
		var listed []string
		cursor := ""
		for pages := 1; ; pages++ {
			page, err := api.List(t.Context(), cursor, 2)
			require.NoError(t, err)
			require.Equal(t, cursor == "", page.EventsCursor != nil)
			for _, session := range page.Items {
				listed = append(listed, session.SessionID)
			}
			if page.NextCursor == nil {
				require.Equal(t, 3, pages)
				break
			}
			cursor = *page.NextCursor
			_, err = stranger.List(t.Context(), cursor, 2)
			requireProblem(t, err, 400, "invalid_cursor")
		}
		require.Equal(t, newest, listed)
	}
	none, err := stranger.List(t.Context(), "", 0)
	require.NoError(t, err)
	require.Empty(t, none.Items)
	_, err = stranger.Get(t.Context(), newest[0])
	unseen := requireProblem(t, err, 404, "session_not_found")
	_, err = stranger.Get(t.Context(), strings.Repeat("0", 8)+newest[0][8:])
	unknown := requireProblem(t, err, 404, "session_not_found")
	require.Equal(t, unseen.Detail, unknown.Detail)

	for name, api := range map[string]*callplane.Client{
		"expired": users.as(alice, -time.Hour), "none": s.API, "by name alone": s.API.As(alice, "call:admin"), "forged": s.API.Bearer("x.y.z"),
	} {
		_, err := api.Get(t.Context(), newest[0])
		refused := requireProblem(t, err, 401, "unauthenticated")
		require.Contains(t, refused.Challenge, "Bearer", name)
		if name == "expired" {
			require.Contains(t, refused.Challenge, `error="invalid_token"`)
		}
	}
}
