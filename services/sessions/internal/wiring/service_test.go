//go:build integration

package wiring

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/openapi/conformance"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	libpostgres "github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/rabbitmq"
	"github.com/callplane/callplane/libs/testkit"
	"github.com/callplane/callplane/services/sessions/internal/adapters/postgres"
)

func TestMain(m *testing.M) { testkit.Main(m, testkit.LeftByToxiproxy()...) }

// running is a service in this process.
type running struct {
	t    *testing.T
	base string
	log  *output
	stop context.CancelFunc
	done chan int
	// client holds what it sends and is answered to the OpenAPI document.
	client *http.Client
}

// output is a log that can be read while it is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func freeAddress(t *testing.T) string {
	t.Helper()
	return "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t))
}

// run starts the service; it is stopped at the test's end where the test does not.
func run(t *testing.T, environ ...string) *running {
	t.Helper()
	address := freeAddress(t)
	settings, err := config.Load[Settings](environment(append(environ, "HTTP_ADDR="+address, "ADMIN_ADDR="+freeAddress(t), "LOG_LEVEL=debug")...))
	require.NoError(t, err)
	document, err := conformance.Load()
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: t, base: "http://" + address, log: &output{}, stop: stop, done: make(chan int, 1), client: &http.Client{
		Transport: &conformance.Transport{Document: document, Next: &http.Transport{}, Report: func(err error) { t.Error(err) }},
	}}
	go func() {
		status, err := Serve(ctx, settings, Build{Version: "test", Output: r.log})
		if err != nil {
			_, _ = fmt.Fprintln(r.log, "Serve:", err)
		}
		r.done <- status
		close(r.done)
	}()
	t.Cleanup(func() {
		stop()
		<-r.done
		if t.Failed() {
			t.Log(r.log.String())
		}
		r.client.CloseIdleConnections()
	})
	return r
}

// exit waits for the end and returns the status.
func (r *running) exit() int {
	r.t.Helper()
	select {
	case status := <-r.done:
		return status
	case <-time.After(30 * time.Second):
		r.t.Fatal("the service does not end")
		return -1
	}
}

func (r *running) request(method, path, user, body string) (int, map[string]any, http.Header) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.base+path, strings.NewReader(body))
	require.NoError(r.t, err)
	request.Header.Set("X-User-Id", user)
	request.Header.Set("Content-Type", "application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return 0, map[string]any{"error": err.Error()}, nil
	}
	defer func() { require.NoError(r.t, response.Body.Close()) }()
	text, err := io.ReadAll(response.Body)
	require.NoError(r.t, err)
	var decoded map[string]any
	require.NoError(r.t, json.Unmarshal(text, &decoded), "%s", text)
	return response.StatusCode, decoded, response.Header
}

// ready waits until /readyz says so.
func (r *running) ready(status int, word string) {
	r.t.Helper()
	testkit.Eventually(r.t, 30*time.Second, func(context.Context) error {
		select {
		case status := <-r.done:
			r.t.Fatalf("the service has ended with %d before it was %s", status, word)
		default:
		}
		if got, body, _ := r.request(http.MethodGet, "/readyz", "", ""); got != status || body["status"] != word {
			return fmt.Errorf("/readyz is %d %v", got, body)
		}
		return nil
	})
}

func migrate(url string) error {
	return libpostgres.Migrate(context.Background(), url, postgres.Migrations, postgres.MigrationsDir)
}

// databases returns the settings of a fresh, empty database.
func databases(t *testing.T) []string {
	t.Helper()
	appURL, ownerURL := testkit.Postgres(t).Database(t, "sessions", nil)
	return []string{"DATABASE_URL=" + appURL, "MIGRATE_DATABASE_URL=" + ownerURL}
}

func migrated(t *testing.T) []string {
	t.Helper()
	appURL, _ := testkit.Postgres(t).Database(t, "sessions", migrate)
	return []string{"DATABASE_URL=" + appURL, "MIGRATE_DATABASE_URL=", "MIGRATE_ON_START=false"}
}

// aBridge stands for the bridge on the broker: it issues tokens and publishes facts.
type aBridge struct {
	t         *testing.T
	publisher *rabbitmq.Publisher
	presence  atomic.Pointer[commands.CallPresenceShown]
}

// show sets what it says of every call; nobody, before.
func (b *aBridge) show(shown commands.CallPresenceShown) { b.presence.Store(&shown) }

func startBridge(t *testing.T, vhost *testkit.Vhost) *aBridge {
	t.Helper()
	connector, err := rabbitmq.NewConnector(rabbitmq.Config{URL: config.Secret(vhost.URL(topology.UserBridge)), Name: "test-bridge"})
	require.NoError(t, err)
	rabbitmq.DeclareOn(connector, topology.Shared(topology.DefaultPartitions))
	b := &aBridge{t: t, publisher: rabbitmq.NewPublisher(connector, "test-bridge")}
	rabbitmq.NewRPCServer(connector, "test-bridge", rabbitmq.RPCServerConfig{
		Queue: topology.CommandsQueue, Topology: topology.Commands(), Users: []string{topology.UserSessions},
	},
		func(_ context.Context, request rabbitmq.Request) ([]byte, error) {
			if request.Key == commands.CallPresenceName {
				return b.answerPresence(request.Body)
			}
			command, err := commands.DecodeTokenIssue(request.Body)
			if err != nil {
				return nil, err
			}
			return commands.EncodeTokenReply(commands.Succeed(command.CommandID, commands.TokenIssued{
				Provider: "livekit", URL: "ws://127.0.0.1:7880", Token: commands.NewJoinToken("a-token-for-" + command.UserID),
				RoomName: "call-" + command.SessionID, Identity: command.UserID + "#default", ExpiresAt: events.At(time.Now().Add(time.Minute)),
			}))
		})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- connector.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	testkit.Eventually(t, 20*time.Second, func(context.Context) error {
		if !connector.Connected() {
			return fmt.Errorf("the bridge is not connected")
		}
		return nil
	})
	return b
}

func (b *aBridge) answerPresence(body []byte) ([]byte, error) {
	command, err := commands.DecodeCallPresence(body)
	if err != nil {
		return nil, err
	}
	var shown commands.CallPresenceShown
	if set := b.presence.Load(); set != nil {
		shown = *set
	}
	return commands.EncodePresenceReply(commands.Succeed(command.CommandID, shown))
}

func (b *aBridge) publish(sessionID string, payload events.Payload) {
	b.t.Helper()
	id, err := events.NewID()
	require.NoError(b.t, err)
	sealed, err := events.Seal(id, sessionID, events.Draft{
		Timestamp: time.Now(), Actor: events.Actor{Type: events.ActorProvider, ID: "livekit"}, Payload: payload,
	})
	require.NoError(b.t, err)
	require.NoError(b.t, b.publisher.Publish(b.t.Context(), rabbitmq.Message{
		Exchange: topology.EventsExchange, Key: string(payload.EventType()), ID: id,
		Headers: map[string]string{topology.HeaderSessionID: sessionID}, Body: sealed.JSON(),
	}))
}
