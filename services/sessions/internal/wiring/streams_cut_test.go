//go:build integration

package wiring

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

// Where a connection is cut.
const (
	cutAnywhere = iota
	cutInID     // within a line that begins with "id: "
	cutInData   // within a line that begins with "data: "
	cutPlaces
)

// cutReader is a client of a stream whose connections break at chance places. What it read of an event that it did not get whole it forgets, as
// the HTML standard has it, and comes back with the id of the last one that it got whole.
type cutReader struct {
	replicas []*running
	client   *http.Client
	path     string
	user     string
	random   *rand.Rand
	maxBytes int    // before a cut, about
	last     string // id of the last whole event
	got      []streamed
	cuts     [cutPlaces]int
}

func (r *cutReader) ofUser() bool { return r.path == "/v1/call/events" }

// follow connects again and again until so many sessions were seen to end.
func (r *cutReader) follow(ctx context.Context, sessions int) error {
	ended := map[string]bool{}
	enough := func(one streamed) bool {
		if one.event == "call.ended" {
			ended[one.data] = true
		}
		return len(ended) == sessions
	}
	for {
		done, err := r.once(ctx, enough)
		if done || err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("%s of %s stands after %d events at %s: %w", r.path, r.user, len(r.got), r.last, err)
		}
	}
}

// once reads one connection to where it is cut.
func (r *cutReader) once(ctx context.Context, enough func(streamed) bool) (done bool, err error) {
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	replica := r.replicas[r.random.IntN(len(r.replicas))]
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, replica.base+r.path, nil)
	if err != nil {
		return false, err
	}
	request.Header.Set("X-User-Id", r.user)
	request.Header.Set("Accept", "text/event-stream")
	if r.last != "" {
		request.Header.Set("Last-Event-ID", r.last)
	}
	response, err := r.client.Do(request)
	if err != nil {
		return false, err
	}
	defer response.Body.Close() //nolint:errcheck // It breaks.
	if response.StatusCode != http.StatusOK {
		return false, fmt.Errorf("%s: %s", r.path, response.Status)
	}
	return r.read(bufio.NewReader(response.Body), enough)
}

// read takes bytes one by one, up to where chance cuts.
func (r *cutReader) read(body io.ByteReader, enough func(streamed) bool) (done bool, err error) {
	place, left := r.random.IntN(cutPlaces), 1+r.random.IntN(r.maxBytes)
	inLine := 1 + r.random.IntN(30) // bytes of the line that is cut within
	prefix := map[int]string{cutInID: "id: ", cutInData: "data: "}[place]
	var one streamed
	var line strings.Builder
	for {
		b, err := body.ReadByte()
		if err != nil {
			return false, nil //nolint:nilerr // The stream's end, or the test's.
		}
		left--
		if b != '\n' {
			line.WriteByte(b)
			if left <= 0 && strings.HasPrefix(line.String(), prefix) && line.Len() >= len(prefix)+inLine {
				r.cuts[place]++
				return false, nil
			}
			continue
		}
		if r.line(line.String(), &one) && enough(one) {
			return true, nil
		}
		if line.Len() == 0 {
			one = streamed{}
		}
		line.Reset()
	}
}

// line takes a whole line, and tells whether it completes an event.
func (r *cutReader) line(text string, one *streamed) bool {
	switch name, value, _ := strings.Cut(text, ": "); name {
	case "id":
		one.id = value
	case "event":
		one.event = value
	case "data":
		one.data = value
	case "":
		if text != "" || one.data == "" {
			return false // a comment, or nothing
		}
		r.got, r.last = append(r.got, *one), one.id
		return true
	}
	return false
}

// seen returns the ids of the events of each session, in the order in which they came first. Of a session's stream none may come twice.
func (r *cutReader) seen(t *testing.T) map[string][]string {
	t.Helper()
	seen, content := map[string][]string{}, map[string]string{}
	for _, one := range r.got {
		var e struct{ EventID, SessionID, Type string }
		require.NoError(t, json.Unmarshal([]byte(one.data), &e), one.data)
		require.Equal(t, e.Type, one.event)
		before, again := content[e.EventID]
		if again {
			require.True(t, r.ofUser(), "%s got %s twice", r.user, e.EventID)
			require.Equal(t, before, one.data)
			continue
		}
		if !r.ofUser() {
			require.Equal(t, e.EventID, one.id)
		}
		content[e.EventID] = one.data
		seen[e.SessionID] = append(seen[e.SessionID], e.EventID)
	}
	return seen
}

// What TestReadersCutInTheMiddleOfAnEvent has happen.
const (
	cutReaders  = 12 // every fourth follows all of a user's sessions
	cutSessions = 3
	cutWrites   = 40 // by each of two writers a session
)

// TestReadersCutInTheMiddleOfAnEvent has writers at two replicas, and readers of sessions' and of users' streams whose connections break at any
// byte, in the middle of an id too. Those of a session end with the exact log; those of a user have seen everything, in order, some of it again.
func TestReadersCutInTheMiddleOfAnEvent(t *testing.T) {
	environment := append(migrated(t), "AMQP_URL="+testkit.Rabbit(t).Vhost(t).URL("sessions"))
	replicas := []*running{run(t, environment...), run(t, environment...)}
	for _, replica := range replicas {
		replica.ready(http.StatusOK, "ok")
	}
	ids := make([]string, cutSessions)
	var members []string
	for n := range cutReaders {
		members = append(members, fmt.Sprintf(`{"userId":"reader-%d","role":"viewer"}`, n))
	}
	readers := readersToCut(t, replicas)
	for i := range ids {
		status, body, _ := replicas[i%2].request(http.MethodPost, "/v1/call/sessions", "alice", `{"members":[`+strings.Join(members, ",")+`]}`)
		require.Equal(t, http.StatusCreated, status, body)
		ids[i] = body["sessionId"].(string)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var following errgroup.Group
	for n, r := range readers {
		ends := len(ids)
		if !r.ofUser() {
			r.path, ends = "/v1/call/sessions/"+ids[n%len(ids)]+"/events", 1
		}
		following.Go(func() error { return r.follow(ctx, ends) })
	}
	writeWhileRead(t, replicas, ids)
	require.NoError(t, following.Wait())

	logs := map[string][]string{}
	for _, id := range ids {
		logs[id] = logIDs(t, replicas[0], id)
		require.Len(t, logs[id], 1+2*cutWrites+2)
	}
	var cuts [cutPlaces]int
	for _, r := range readers {
		want := logs
		if !r.ofUser() {
			id := strings.Split(r.path, "/")[4]
			want = map[string][]string{id: logs[id]}
		}
		require.Equal(t, want, r.seen(t), "%s at %s", r.user, r.path)
		for place, count := range r.cuts {
			cuts[place] += count
		}
	}
	t.Logf("cut anywhere, within an id, within data: %v", cuts)
	for _, count := range cuts {
		require.Greater(t, count, 20)
	}
}

// readersToCut makes the readers; those of users begin now.
func readersToCut(t *testing.T, replicas []*running) []*cutReader {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	readers := make([]*cutReader, cutReaders)
	for n := range readers {
		r := &cutReader{
			replicas: replicas, client: client, user: fmt.Sprint("reader-", n), maxBytes: 4000,
			random: rand.New(rand.NewPCG(seed, uint64(n))),
		}
		if n%4 == 3 {
			status, page, _ := replicas[n%2].request(http.MethodGet, "/v1/call/sessions", r.user, "")
			require.Equal(t, http.StatusOK, status, page)
			// What was shown of the last 20 s comes again with each connection.
			r.path, r.last, r.maxBytes = "/v1/call/events", page["eventsCursor"].(string), 200_000
		}
		readers[n] = r
	}
	return readers
}

// writeWhileRead has each session changed at one replica and spoken in at the other, and ends it.
func writeWhileRead(t *testing.T, replicas []*running, ids []string) {
	t.Helper()
	var writing sync.WaitGroup
	for i, id := range ids {
		writing.Go(func() {
			for n := range cutWrites {
				replicas[i%2].patch(id, fmt.Sprintf(`{"title":"%d"}`, n))
			}
		})
		writing.Go(func() {
			for n := range cutWrites {
				said := portstest.Said(t, id, portstest.NewID(t), portstest.Spoken(strings.Repeat("ja ", 1+n*17%700)))
				status, answer := replicas[1-i%2].posted("/v1/call/sessions/"+id, "call:events", string(said.Raw))
				require.Equal(t, http.StatusCreated, status, answer)
			}
		})
	}
	writing.Wait()
	for i, id := range ids {
		replicas[i%2].patch(id, `{"status":"ended"}`)
	}
}
