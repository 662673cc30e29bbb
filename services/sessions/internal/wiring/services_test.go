//go:build integration

package wiring

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/rabbitmq"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

// say publishes what services say, as a user of the broker.
func say(t *testing.T, vhost *testkit.Vhost, user string, said ...events.Accepted) {
	t.Helper()
	connector, err := rabbitmq.NewConnector(rabbitmq.Config{URL: config.Secret(vhost.URL(user)), Name: "test-" + user})
	require.NoError(t, err)
	publisher := rabbitmq.NewPublisher(connector, "test-"+user)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- connector.Run(ctx) }()
	defer func() {
		cancel()
		require.NoError(t, <-done)
	}()
	for _, e := range said {
		message := rabbitmq.Message{
			Exchange: topology.EventsExchange, Key: string(e.Type), ID: e.EventID, Body: e.Raw,
			Headers: map[string]string{topology.HeaderSessionID: e.SessionID},
		}
		testkit.Eventually(t, 20*time.Second, func(ctx context.Context) error {
			err := publisher.Publish(ctx, message)
			if !errors.Is(err, rabbitmq.ErrUnavailable) { // it is not connected yet, or has no channel
				require.NoError(t, err)
			}
			return err
		})
	}
}

// posted posts an event to the API with a scope, and returns the status and the event.
func (r *running) posted(path, scope, body string) (int, map[string]any) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.base+path+"/events", strings.NewReader(body))
	require.NoError(r.t, err)
	for name, value := range map[string]string{"X-User-Id": "orchestrator", "X-Scopes": scope, "Content-Type": "application/json"} {
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	require.NoError(r.t, err)
	defer func() { require.NoError(r.t, response.Body.Close()) }()
	var event map[string]any
	require.NoError(r.t, json.NewDecoder(response.Body).Decode(&event))
	return response.StatusCode, event
}

// TestWhatServicesSay brings it in by both ways, the API and the broker, and lets the commands look at what is stored then.
func TestWhatServicesSay(t *testing.T) {
	vhost := testkit.Rabbit(t).Vhost(t)
	environ := migrated(t)
	service := run(t, append(environ, "AMQP_URL="+vhost.URL("sessions"))...)
	service.ready(http.StatusOK, "ok")
	_, session, _ := service.request(http.MethodPost, "/v1/call/sessions", "alice", `{"members":[{"userId":"bob","role":"viewer"}]}`)
	id := session["sessionId"].(string)
	path := "/v1/call/sessions/" + id
	nowhere := portstest.NewID(t)

	spoken := portstest.Said(t, id, portstest.NewID(t), portstest.Spoken("yes"))
	status, event := service.posted(path, "call:events", string(spoken.Raw))
	require.Equal(t, http.StatusCreated, status, event)
	status, again := service.posted(path, "call:events", string(spoken.Raw))
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, event, again)
	status, _ = service.posted(path, "call:usage", string(spoken.Raw))
	require.Equal(t, http.StatusForbidden, status)

	twice := portstest.Said(t, id, portstest.NewID(t), portstest.Spoken("no"))
	say(t, vhost, events.ProducerOrchestrator, twice, twice, portstest.Said(t, nowhere, portstest.NewID(t), portstest.Spoken("lost")))
	say(t, vhost, events.ProducerBilling, portstest.Said(t, id, portstest.NewID(t), portstest.Billed()))
	service.quarantined(environ, nowhere)
	service.logged(environ, id, 4)
	_, page, _ := service.request(http.MethodGet, path+"/events", "bob", "")
	require.Len(t, page["items"], 3, "bob is not shown the bill")

	var out, errOut bytes.Buffer
	status, err := Verify(t.Context(), nil, environ, &out, &errOut)
	require.NoError(t, err)
	require.Zero(t, status, out.String())
	require.Contains(t, errOut.String(), "1 sessions verified, 0 differ")
	status, err = Verify(t.Context(), []string{"--session", nowhere}, environ, &out, &errOut)
	require.Error(t, err)
	require.Equal(t, 1, status)
	service.tamper(environ, id)
	status, err = Verify(t.Context(), []string{"--session", strings.ToUpper(id)}, environ, &out, &errOut)
	require.NoError(t, err)
	require.Equal(t, 1, status)
	require.Contains(t, out.String(), id)
	require.Contains(t, out.String(), "status")
	service.published(environ)
	require.NotContains(t, service.log.String(), `"level":"ERROR"`)
}

func databaseURL(environ []string) string {
	for _, entry := range environ {
		if url, ok := strings.CutPrefix(entry, "DATABASE_URL="); ok {
			return url
		}
	}
	return ""
}

// query returns one number from the database.
func query(t *testing.T, environ []string, statement string, args ...any) int64 {
	t.Helper()
	db, err := libpostgres.Open(t.Context(), databaseURL(environ), libpostgres.Options{MaxOpenConns: 1})
	require.NoError(t, err)
	defer func() { require.NoError(t, libpostgres.Close(db)) }()
	var number int64
	require.NoError(t, db.Raw(statement, args...).Scan(&number).Error)
	return number
}

// logged waits until a log has so many events.
func (r *running) logged(environ []string, id string, want int64) {
	r.t.Helper()
	testkit.Eventually(r.t, 20*time.Second, func(context.Context) error {
		if got := query(r.t, environ, "SELECT count(*) FROM events WHERE session_id = ?", id); got != want {
			return fmt.Errorf("the log has %d events", got)
		}
		return nil
	})
}

// published waits until the broker has all that began here, so it may send what was posted.
func (r *running) published(environ []string) {
	r.t.Helper()
	testkit.Eventually(r.t, 20*time.Second, func(context.Context) error {
		if left := query(r.t, environ, "SELECT count(*) FROM outbox WHERE published_at IS NULL"); left > 0 {
			return fmt.Errorf("%d events are not published", left)
		}
		return nil
	})
	require.EqualValues(r.t, 1, query(r.t, environ, "SELECT count(*) FROM outbox WHERE routing_key = 'transcript.final'"), "what came by the broker is not sent again")
}

// quarantined waits until the command shows what was said of a session that is not here.
func (r *running) quarantined(environ []string, id string) {
	r.t.Helper()
	testkit.Eventually(r.t, 20*time.Second, func(ctx context.Context) error {
		var out bytes.Buffer
		if err := Quarantine(ctx, []string{"list", "--session", id, "--json"}, environ, &out); err != nil {
			return err
		}
		var q ports.SetAside
		if err := json.Unmarshal(out.Bytes(), &q); err != nil {
			return fmt.Errorf("%q: %w", out.String(), err)
		}
		if q.Reason != "unknown_session" || q.Type != events.TranscriptFinal || q.SessionID != id {
			return fmt.Errorf("the command shows %s", out.String())
		}
		return nil
	})
	var table bytes.Buffer
	require.NoError(r.t, Quarantine(r.t.Context(), []string{"list", "--limit", "1"}, environ, &table))
	require.Equal(r.t, 2, strings.Count(table.String(), "\n"))
	require.Contains(r.t, table.String(), "unknown_session")
}

func (r *running) tamper(environ []string, id string) {
	r.t.Helper()
	query(r.t, environ, "UPDATE sessions SET status = 'ended', ended_at = now(), end_reason = 'x' WHERE id = ? RETURNING 1", id)
}
