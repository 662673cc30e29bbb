package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/callplane"
)

// logOf makes a demo whose session's log is the lines given, "type user", as the follower would have read it.
func logOf(t *testing.T, lines []string) (*demo, *bytes.Buffer) {
	t.Helper()
	out := &bytes.Buffer{}
	d := newDemo(settings{SessionsPort: 1, LiveKitPort: 1, LiveKitKey: "k", LiveKitSecret: "s"}, newTimeline(out, false))
	items := make([]string, len(lines))
	for i, line := range lines {
		kind, user, _ := strings.Cut(line, " ")
		payload := fmt.Sprintf(`{"userId":%q}`, user)
		if kind == "call.updated" {
			payload = `{"changes":{"status":"ended"}}`
		}
		items[i] = fmt.Sprintf(`{"eventId":"e%d","timestamp":"2026-01-02T03:04:05Z","type":%q,"actor":{"type":"user","id":"alice"},"payload":%s}`, i, kind, payload)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		after := -1
		if w := r.URL.Query().Get("after"); w != "" {
			after, _ = strconv.Atoi(strings.TrimPrefix(w, "e"))
		}
		w.Header().Set("Content-Type", "application/json")
		upTo := min(after+3, len(items)) // pages of two
		_, _ = fmt.Fprintf(w, `{"items":[%s],"hasMore":%t}`, strings.Join(items[after+1:upTo], ","), upTo < len(items))
	}))
	t.Cleanup(server.Close)
	api := callplane.New(server.URL).As(alice)
	t.Cleanup(api.Close)
	d.follower = newFollower(api, "s", func(s seen) {
		cause, text := causeOf(s)
		d.line.event(s.Event, s.facts, cause, text)
	})
	require.NoError(t, d.follower.read(t.Context()))
	return d, out
}

func TestTheRightLogPasses(t *testing.T) {
	d, out := logOf(t, expectedEvents)
	require.NoError(t, d.checkLog())
	require.Equal(t, []string{"created", "active", "ended"}, d.line.seenStates())
	require.Equal(t, len(expectedEvents), strings.Count(out.String(), "\n"), "a line for each event")
	require.NotContains(t, out.String(), "\x1b")
}

func TestAWrongLogFails(t *testing.T) {
	at := slices.Index(expectedEvents, "call.participant.left bob")
	for name, c := range map[string]struct {
		lines []string
		says  string
	}{
		"missing": {slices.Delete(slices.Clone(expectedEvents), at, at+1), "call.participant.left bob is missing"},
		"twice":   {append(slices.Clone(expectedEvents), "call.participant.left bob"), "call.participant.left bob came twice"},
		"foreign": {append(slices.Clone(expectedEvents), "call.participant.joined mallory"), "call.participant.joined mallory came, which doesn't belong"},
		"empty":   {nil, "call.created is missing"},
		"ended before it was active": {
			slices.Concat([]string{"call.ended"}, slices.DeleteFunc(slices.Clone(expectedEvents), func(s string) bool { return s == "call.ended" })),
			"created → active → ended, but: ended → created",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := logOf(t, c.lines)
			require.ErrorContains(t, d.checkLog(), c.says)
		})
	}
}

func TestAwaitSaysWhatDidNotCome(t *testing.T) {
	d, _ := logOf(t, expectedEvents[:2])
	require.NoError(t, d.follower.await(t.Context(), "call.created", ""))
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(io.ErrUnexpectedEOF)
	err := d.follower.await(ctx, "call.participant.joined", bob)
	require.ErrorContains(t, err, "expected call.participant.joined of bob")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestSettingsComeFromTheEnvironmentFirst(t *testing.T) {
	s, err := loadSettings([]string{"SESSIONS_PORT=1234", "LIVEKIT_API_KEY=key", "LIVEKIT_API_SECRET=secret"})
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:1234", s.api())
	require.Equal(t, "key", s.LiveKitKey)
	_, err = loadSettings([]string{"SESSIONS_PORT=eighty", "LIVEKIT_API_KEY=key", "LIVEKIT_API_SECRET=secret"})
	require.ErrorContains(t, err, "SessionsPort")
}

func TestFarewellSaysWhereToLook(t *testing.T) {
	d, _ := logOf(t, expectedEvents)
	d.session.SessionID = "0199b2c4-0000-7000-8000-000000000000"
	var out bytes.Buffer
	d.farewell(&out)
	for _, address := range []string{d.settings.api() + "/openapi.json", d.settings.management(), d.settings.api() + "/v1/call/sessions/" + url.PathEscape(d.session.SessionID)} {
		require.Contains(t, out.String(), address)
	}
	require.Contains(t, out.String(), fmt.Sprintf("%d events", len(expectedEvents)))
}
