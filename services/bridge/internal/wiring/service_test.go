//go:build integration

package wiring

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
	"github.com/livekit/protocol/logger"
	lksdk "github.com/livekit/server-sdk-go/v2"
	"github.com/stretchr/testify/require"
	"go.uber.org/fx"
	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/rabbitmq"
	"github.com/callplane/callplane/libs/testkit"
)

func TestMain(m *testing.M) {
	lksdk.SetLogger(logger.GetDiscardLogger())
	if os.Getenv(callerURL) != "" {
		os.Exit(beCaller())
	}
	testkit.Main(m)
}

const partitions = 4

// service is a running bridge and what surrounds it.
type service struct {
	t        *testing.T
	port     int
	admin    int
	app      *fx.App
	log      *buffer
	db       *gorm.DB
	vhost    *testkit.Vhost
	livekit  *testkit.LiveKitServer
	sessions *sessions

	signatures []string // of all that was sent
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// start starts the whole graph on a database, a virtual host and a LiveKit server of this test's own, and
// beside it what stands for the sessions service.
func start(t *testing.T, changes ...string) *service {
	t.Helper()
	s := &service{t: t, port: testkit.FreePort(t)}
	s.livekit = testkit.LiveKit(t, fmt.Sprintf("http://127.0.0.1:%d/livekit/webhook", s.port))
	s.begin(changes)
	return s
}

// startDeaf is start with a LiveKit server whose webhooks go nowhere.
func startDeaf(t *testing.T, changes ...string) *service {
	t.Helper()
	s := &service{t: t, port: testkit.FreePort(t), livekit: testkit.LiveKit(t, "")}
	s.begin(changes)
	return s
}

func (s *service) begin(changes []string) {
	s.t.Helper()
	s.log, s.vhost = &buffer{}, testkit.Rabbit(s.t).Vhost(s.t)
	url, ownerURL := testkit.Postgres(s.t).Database(s.t, Service, nil)
	s.open(ownerURL)
	s.sessions = newSessions(s.t, s.vhost)
	s.run(append([]string{
		"DATABASE_URL=" + url, "MIGRATE_DATABASE_URL=" + ownerURL, "AMQP_URL=" + s.vhost.URL(topology.UserBridge),
		"LIVEKIT_API_URL=" + s.livekit.URL, "LIVEKIT_PUBLIC_URL=" + s.livekit.WSURL,
	}, changes...)...)
}

// open gives the test its own look at the database.
func (s *service) open(ownerURL string) {
	s.t.Helper()
	var err error
	s.db, err = postgres.Open(s.t.Context(), ownerURL, postgres.Options{})
	require.NoError(s.t, err)
	s.t.Cleanup(func() { require.NoError(s.t, postgres.Close(s.db)) })
}

// run starts the graph with further settings and stops it with the test. Without any, all servers are away.
func (s *service) run(changes ...string) {
	s.t.Helper()
	if s.livekit == nil {
		s.livekit = &testkit.LiveKitServer{APIKey: "key", APISecret: strings.Repeat("s", 32)}
	}
	s.admin = testkit.FreePort(s.t)
	settings, err := config.Load[Settings](append(environ(
		"HTTP_ADDR=:"+strconv.Itoa(s.port), "ADMIN_ADDR=127.0.0.1:"+strconv.Itoa(s.admin),
		"EVENT_PARTITIONS="+strconv.Itoa(partitions), "ROOM_DEPARTURE_TIMEOUT=2s", "LOG_LEVEL=debug",
		"LIVEKIT_API_KEY="+s.livekit.APIKey, "LIVEKIT_API_SECRET="+s.livekit.APISecret,
	), changes...))
	require.NoError(s.t, err)
	s.app = fx.New(Options(settings, Build{Version: "test", Output: s.log}))
	require.NoError(s.t, s.app.Start(s.t.Context()))
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), s.app.StopTimeout())
		defer cancel()
		require.NoError(s.t, s.app.Stop(ctx))
		http.DefaultClient.CloseIdleConnections()
		if s.t.Failed() {
			s.t.Log(s.log.String())
		}
	})
}

func (s *service) waitReady(want string) {
	s.t.Helper()
	testkit.Eventually(s.t, time.Minute, func(context.Context) error {
		status, body := s.get("/readyz")
		if status != http.StatusOK || !strings.Contains(body, want) {
			return fmt.Errorf("%d %s", status, body)
		}
		return nil
	})
}

func (s *service) get(path string) (int, string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url(path), nil)
	require.NoError(s.t, err)
	return do(s.t, request)
}

// metrics is what the service shows to Prometheus.
func (s *service) metrics() string {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://127.0.0.1:"+strconv.Itoa(s.admin)+"/metrics", nil)
	require.NoError(s.t, err)
	status, body := do(s.t, request)
	require.Equal(s.t, http.StatusOK, status)
	return body
}

// post sends a webhook as LiveKit does, signed with the given secret.
func (s *service) post(body []byte, secret string) (int, string) {
	s.t.Helper()
	return s.send(body, "application/webhook+json", signature(s.t, body, s.livekit.APIKey, secret, 5*time.Minute))
}

// signature is what LiveKit sends with a body, valid for so long from now on; where that is negative, it has expired.
func signature(t testing.TB, body []byte, key, secret string, validFor time.Duration) string {
	t.Helper()
	sum := sha256.Sum256(body)
	text, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"iss": key, "exp": time.Now().Add(validFor).Unix(), "sha256": base64.StdEncoding.EncodeToString(sum[:]),
	}).SignedString([]byte(secret))
	require.NoError(t, err)
	return text
}

// send sends what may be a webhook.
func (s *service) send(body []byte, mediaType, authorization string) (int, string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url("/livekit/webhook"), bytes.NewReader(body))
	require.NoError(s.t, err)
	request.Header.Set("Authorization", authorization)
	request.Header.Set("Content-Type", mediaType)
	s.signatures = append(s.signatures, authorization)
	return do(s.t, request)
}

func (s *service) url(path string) string { return "http://127.0.0.1:" + strconv.Itoa(s.port) + path }

func do(t *testing.T, request *http.Request) (int, string) {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close() //nolint:errcheck // Only read from.
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(body)
}

// count returns a figure of the database.
func (s *service) count(sql string, args ...any) int64 {
	s.t.Helper()
	var n int64
	require.NoError(s.t, s.db.Raw(sql, args...).Scan(&n).Error)
	return n
}

// sessions stands for the sessions service on the broker: it asks for tokens, tells of its sessions and
// hears what the bridge says.
type sessions struct {
	t         testing.TB
	publisher *rabbitmq.Publisher
	commands  *rabbitmq.RPCClient

	mu    sync.Mutex
	heard []events.Envelope
}

func newSessions(t testing.TB, vhost *testkit.Vhost) *sessions {
	t.Helper()
	connector, err := rabbitmq.NewConnector(rabbitmq.Config{
		URL: config.Secret(vhost.URL(topology.UserSessions)), Name: "test-sessions", Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	rabbitmq.DeclareOn(connector, topology.Shared(partitions))
	s := &sessions{t: t, publisher: rabbitmq.NewPublisher(connector, "sessions"), commands: rabbitmq.NewRPCClient(connector, "sessions", 5*time.Second)}
	rabbitmq.NewConsumer(connector, rabbitmq.ConsumerConfig{
		Exchange: topology.SessionsEvents, Partitions: partitions, Replica: "test", Dead: s.publisher,
	}, s.hear)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- connector.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	require.Eventually(t, connector.Connected, time.Minute, 20*time.Millisecond)
	return s
}

func (s *sessions) hear(_ context.Context, d rabbitmq.Delivery) error {
	accepted, err := events.Accept(events.Delivery{
		Body: d.Body, RoutingKey: d.RoutingKey, MessageID: d.MessageID, UserID: d.UserID, SessionHeader: d.Headers[topology.HeaderSessionID],
	})
	if err != nil {
		s.t.Errorf("the bridge sent what can't be accepted: %v", err)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if accepted.Type != events.CallCreated && accepted.Type != events.CallEnded {
		s.heard = append(s.heard, accepted.Envelope)
	}
	return nil
}

// types returns what the bridge has said of a session so far.
func (s *sessions) types(session string) []events.Type {
	s.mu.Lock()
	defer s.mu.Unlock()
	var types []events.Type
	for _, e := range s.heard {
		if e.SessionID == session {
			types = append(types, e.Type)
		}
	}
	return types
}

// count returns how many events the bridge has said.
func (s *sessions) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.heard)
}

func (s *sessions) waitFor(session string, want ...events.Type) {
	s.t.Helper()
	testkit.Eventually(s.t, time.Minute, func(context.Context) error {
		if got := s.types(session); fmt.Sprint(got) != fmt.Sprint(want) {
			return fmt.Errorf("the bridge said %v, not %v", got, want)
		}
		return nil
	})
}

func (s *sessions) tell(session string, p events.Payload) {
	s.t.Helper()
	id, err := events.NewID()
	require.NoError(s.t, err)
	sealed, err := events.Seal(id, session, events.Draft{Timestamp: time.Now(), Actor: events.Actor{Type: events.ActorUser, ID: "alice"}, Payload: p})
	require.NoError(s.t, err)
	require.NoError(s.t, s.publisher.Publish(s.t.Context(), rabbitmq.Message{
		Exchange: topology.EventsExchange, Key: string(p.EventType()), ID: id, Body: sealed.JSON(),
		Headers: map[string]string{topology.HeaderSessionID: session},
	}))
}

// token asks for a token until a bridge answers.
func (s *sessions) token(session, user string, role events.Role) (commands.TokenIssued, error) {
	s.t.Helper()
	request, err := commands.EncodeTokenIssue(commands.TokenIssue{
		CommandID: uuid.NewString(), SessionID: session, SessionVersion: 1, UserID: user, Role: role,
		TTLSeconds: 60, Kind: events.KindVideo, IssuedAt: events.At(time.Now()),
	})
	require.NoError(s.t, err)
	var body []byte
	testkit.Eventually(s.t, time.Minute, func(ctx context.Context) error {
		body, err = s.commands.Call(ctx, topology.CommandsExchange, commands.TokenIssueName, request, nil)
		if errors.Is(err, rabbitmq.ErrUnroutable) {
			return err // A bridge takes commands a moment after it is ready for webhooks.
		}
		require.NoError(s.t, err)
		return nil
	})
	reply, err := commands.DecodeTokenReply(body)
	require.NoError(s.t, err)
	return reply.Value()
}

func newSession(t testing.TB) string {
	t.Helper()
	id, err := events.NewID()
	require.NoError(t, err)
	return id
}
