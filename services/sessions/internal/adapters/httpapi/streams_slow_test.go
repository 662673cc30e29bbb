package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/testkit"
)

// TestASilentStreamSaysThatItLives: a stream of which nothing is to be told sends a comment, which is no event, within 15 s.
func TestASilentStreamSaysThatItLives(t *testing.T) {
	t.Parallel()
	s := serveStreams(t)
	path := s.session("")
	stream := s.stream(path+"/events", "bob", nil)
	require.Equal(t, "call.created", stream.next()["event"])
	require.True(t, stream.lines.Scan())
	require.Equal(t, ":", stream.lines.Text())
	require.True(t, stream.lines.Scan())
	require.Empty(t, stream.lines.Text())
	s.patch(path, `{"title":"one"}`)
	require.Equal(t, "call.updated", stream.next()["event"])
}

// narrow gives a client whose system takes little ahead of it.
func narrow(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{ReadBufferSize: 1 << 10, DialContext: (&net.Dialer{Control: func(_, _ string, raw syscall.RawConn) error {
		var failure error
		err := raw.Control(func(fd uintptr) {
			failure = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 64<<10)
		})
		if err != nil {
			return err
		}
		return failure
	}}).DialContext}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestASlowReaderIsCutOffAndResumes: whoever takes nothing for 10 s loses the connection, whatever there is to send, and gets everything behind
// the last event that they had.
func TestASlowReaderIsCutOffAndResumes(t *testing.T) {
	t.Parallel()
	s := serveStreams(t)
	path := s.session("")
	fast := s.client
	s.client = narrow(t)
	slow := s.stream(path+"/events", "bob", nil)
	s.client = fast
	slow.lines = bufio.NewScanner(slow.response.Body)
	slow.lines.Buffer(nil, 1<<20)
	seen := []string{slow.next()["id"]}
	const changes = 600 // some 9 MB, more than the systems between take
	filler := strings.Repeat("x", 15<<10)
	for n := range changes {
		s.patch(path, fmt.Sprintf(`{"metadata":{"n":%d,"filler":%q}}`, n, filler))
	}
	testkit.Eventually(t, 40*time.Second, func(context.Context) error {
		if open := s.hub.Open(); open > 0 {
			return fmt.Errorf("%d streams are open", open)
		}
		return nil
	})
	for event := slow.read(); event != nil; event = slow.read() {
		seen = append(seen, event["id"])
	}
	require.Error(t, slow.lines.Err(), "what was cut off looks whole")
	require.Less(t, len(seen), changes, "it was not slow")
	resumed := s.stream(path+"/events", "bob", map[string]string{"Last-Event-ID": seen[len(seen)-1]})
	resumed.lines.Buffer(nil, 1<<20)
	for len(seen) < changes+1 {
		seen = append(seen, resumed.next()["id"])
	}
	require.Equal(t, s.logIDs(path), seen)
}

// logIDs reads the ids of a whole log by pages.
func (s *serving) logIDs(path string) []string {
	s.t.Helper()
	var ids []string
	for after, more := "", true; more; {
		page := s.do(call{http.MethodGet, path + "/events?limit=200" + after, "bob", "", nil}).ok(http.StatusOK).body
		for _, item := range page["items"].([]any) {
			ids = append(ids, item.(map[string]any)["eventId"].(string))
		}
		more, _ = page["hasMore"].(bool)
		after = "&after=" + ids[len(ids)-1]
	}
	return ids
}
