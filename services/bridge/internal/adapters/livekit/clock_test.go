package livekit_test

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/bridge/internal/adapters/livekit"
)

func TestTheClockOffsetIsReadOffAnyAnswer(t *testing.T) {
	t.Parallel()
	const exact = 2 * time.Second // The header tells whole seconds, and this machine may be busy.
	for name, tc := range map[string]struct {
		ahead  time.Duration
		status int
		date   string // in place of the time
	}{
		"in step":         {status: http.StatusOK},
		"ahead":           {ahead: 2 * time.Minute, status: http.StatusOK},
		"behind":          {ahead: -time.Hour, status: http.StatusOK},
		"not ready":       {ahead: time.Minute, status: http.StatusNotAcceptable},
		"a proxy's error": {ahead: time.Minute, status: http.StatusBadGateway},
		"a redirection":   {ahead: time.Minute, status: http.StatusFound},
		"no time":         {status: http.StatusOK, date: "-"},
		"another form":    {status: http.StatusOK, date: "yesterday"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rooms := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodGet || r.URL.Path != "/" {
					t.Errorf("%s %s was asked for", r.Method, r.URL)
				}
				w.Header()["Date"] = []string{time.Now().Add(tc.ahead).UTC().Format(http.TimeFormat)}
				switch tc.date {
				case "":
				case "-":
					w.Header()["Date"] = nil
				default:
					w.Header()["Date"] = []string{tc.date}
				}
				if tc.status == http.StatusFound {
					w.Header().Set("Location", "/elsewhere")
				}
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(strings.Repeat("x", 1<<20)))
			}))
			offset, known := rooms.ClockOffset(t.Context())
			require.Equal(t, tc.date == "", known)
			if known {
				require.InDelta(t, tc.ahead, offset, float64(exact))
			}
		})
	}
}

func TestTheClockIsReadByHTTP(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	defer secure.Close()
	for _, url := range []string{server.URL, server.URL + "/", strings.Replace(server.URL, "http", "ws", 1)} {
		rooms := livekit.NewRooms(url, key, secret)
		offset, known := rooms.ClockOffset(t.Context())
		rooms.Close()
		require.True(t, known, url)
		require.InDelta(t, 0, offset, float64(2*time.Second))
	}
	for _, url := range []string{strings.Replace(secure.URL, "https", "wss", 1), "http://127.0.0.1:1", "://"} {
		rooms := livekit.NewRooms(url, key, secret)
		_, known := rooms.ClockOffset(t.Context())
		rooms.Close()
		require.False(t, known, "its certificate is of no authority, or it isn't there")
	}
}
