// Package stack runs the whole of Callplane for a test: both services as processes of their own
// builds, with a database each, a virtual host of the broker and a LiveKit server, all set up by
// the files that docker-compose.yml uses.
package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	lksdk "github.com/livekit/server-sdk-go/v2"

	"github.com/callplane/callplane/deployments/systemtest/caller"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/libs/testkit"
)

const (
	// Patience is how long the tests wait for what must come; nothing that goes right takes nearly
	// as long.
	Patience = 30 * time.Second
	// startPatience is how long a service may take until it is ready, on a machine that has much
	// else to do.
	startPatience = 2 * time.Minute
	// departureTimeout is how long LiveKit keeps a room after the last one has left it.
	departureTimeout = 2 * time.Second
)

// Stack is one running Callplane.
type Stack struct {
	Sessions, Bridge *Process
	API              *callplane.Client
	BridgeURL        string
	Vhost            *testkit.Vhost
	LiveKit          *testkit.LiveKitServer
	Rooms            *lksdk.RoomServiceClient
	SessionsDB       Database
	BridgeDB         Database
	Observed         *Observer         // of all that is published; nil where figures are taken
	Webhooks         *WebhookProxy     // nil unless the stack has WithWebhookProxy
	RoomService      *RoomServiceProxy // nil unless the stack has WithRoomServiceProxy

	postgres   *testkit.PG
	proxied    bool
	lying      bool
	redis      bool
	unobserved bool
	unchecked  bool
	bridge     map[string]string // further settings
	tokens     secretList
}

// Option makes a stack another than the usual.
type Option func(*Stack)

// WithWebhookProxy has LiveKit's webhooks go through Stack.Webhooks.
func WithWebhookProxy() Option { return func(s *Stack) { s.proxied = true } }

// WithRoomServiceProxy has the bridge's calls to LiveKit go through Stack.RoomService. Stack.Rooms
// asks LiveKit itself.
func WithRoomServiceProxy() Option { return func(s *Stack) { s.lying = true } }

// WithRedis has LiveKit keep its rooms and participants in a Redis of its own.
func WithRedis() Option { return func(s *Stack) { s.redis = true } }

// WithBridge gives the bridge further settings.
func WithBridge(settings map[string]string) Option { return func(s *Stack) { s.bridge = settings } }

// OnPostgres has the stack's databases on a server that is not the shared one.
func OnPostgres(server *testkit.PG) Option { return func(s *Stack) { s.postgres = server } }

// WithoutCheck leaves it to the test to hold what the services say that they have published to what
// was observed.
func WithoutCheck() Option { return func(s *Stack) { s.unchecked = true } }

// unobserved leaves the observer out, who would take their share of the broker.
func unobserved(s *Stack) { s.unobserved = true }

// Database is a service's database, as its own role, as its owner and as the server's
// administrator.
type Database struct{ AppURL, OwnerURL, AdminURL string }

// New starts a stack on the servers that the tests of this binary share, and waits until both
// services are ready and nothing is degraded.
func New(t testing.TB, options ...Option) *Stack {
	t.Helper()
	s := Prepare(t, testkit.Rabbit(t), options...)
	s.Start(t)
	s.AwaitReady(t)
	return s
}

// Prepare makes everything but the services, which Start starts, so that a test can have them start
// in any order.
func Prepare(t testing.TB, broker *testkit.Broker, options ...Option) *Stack {
	t.Helper()
	bridgePort := testkit.FreePort(t)
	s := &Stack{
		BridgeURL: "http://127.0.0.1:" + strconv.Itoa(bridgePort),
		Vhost:     broker.Vhost(t),
	}
	for _, option := range options {
		option(s)
	}
	serverAPI := s.startLiveKit(t)
	if s.postgres == nil {
		s.postgres = testkit.Postgres(t)
	}
	s.SessionsDB, s.BridgeDB = database(t, s.postgres, "sessions"), database(t, s.postgres, "bridge")
	if !s.unobserved {
		s.Observed = Observe(t, s.Vhost)
		t.Cleanup(func() { // when the services have ended
			if !s.unchecked {
				s.checkObserved(t)
			}
		})
	}

	sessionsPort := testkit.FreePort(t)
	s.API = callplane.NewVia("http://127.0.0.1:"+strconv.Itoa(sessionsPort), conforming(t))
	t.Cleanup(s.API.Close)
	s.Sessions = NewProcess("sessions", Binary(t, "sessions"), s.settings(t, "sessions", s.SessionsDB, map[string]string{
		"HTTP_ADDR": "127.0.0.1:" + strconv.Itoa(sessionsPort),
		"AUTH_MODE": "dev",
	}))
	s.Bridge = NewProcess("bridge", Binary(t, "bridge"), s.settings(t, "bridge", s.BridgeDB, map[string]string{
		// On all addresses: LiveKit calls it from its container.
		"HTTP_ADDR":              ":" + strconv.Itoa(bridgePort),
		"LIVEKIT_API_URL":        serverAPI,
		"LIVEKIT_PUBLIC_URL":     s.LiveKit.WSURL,
		"LIVEKIT_API_KEY":        s.LiveKit.APIKey,
		"LIVEKIT_API_SECRET":     s.LiveKit.APISecret,
		"ROOM_DEPARTURE_TIMEOUT": departureTimeout.String(),
	})).With(s.bridge)
	for _, p := range []*Process{s.Sessions, s.Bridge} {
		s.own(t, p)
	}
	return s
}

// startLiveKit starts LiveKit with the proxies that are wanted, and returns where the bridge finds
// its server API.
func (s *Stack) startLiveKit(t testing.TB) (serverAPI string) {
	t.Helper()
	webhookURL := s.WebhookURL()
	if s.proxied {
		s.Webhooks, webhookURL = newWebhookProxy(t, s.WebhookURL())
	}
	if s.redis {
		s.LiveKit = testkit.LiveKitWithRedis(t, webhookURL)
	} else {
		s.LiveKit = testkit.LiveKit(t, webhookURL)
	}
	if s.LiveKit.Container == nil {
		t.Skip("TEST_LIVEKIT_URL names a server whose webhooks can't come to this test's bridge; without that setting, this test starts its own")
	}
	s.Rooms = lksdk.NewRoomServiceClient(s.LiveKit.URL, s.LiveKit.APIKey, s.LiveKit.APISecret)
	if !s.lying {
		return s.LiveKit.URL
	}
	s.RoomService = NewRoomServiceProxy(t, s.LiveKit.URL)
	return s.RoomService.URL()
}

// SetSessions gives the sessions service further settings before it is started; secrets among them
// are named, so that no log may hold them.
func (s *Stack) SetSessions(t testing.TB, settings map[string]string, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		s.tokens.add(secret)
	}
	s.Sessions = s.Sessions.With(settings)
	s.own(t, s.Sessions)
}

// SetBridge is SetSessions for the bridge.
func (s *Stack) SetBridge(t testing.TB, settings map[string]string) {
	t.Helper()
	s.Bridge = s.Bridge.With(settings)
	s.own(t, s.Bridge)
}

// AwaitSessions waits until the sessions service is ready and has everything that it needs.
func (s *Stack) AwaitSessions(t testing.TB) {
	t.Helper()
	s.await(t, s.Sessions)
}

// WebhookURL is where LiveKit sends its webhooks.
func (s *Stack) WebhookURL() string { return s.BridgeURL + "/livekit/webhook" }

// settings are those that both services have, and the service's own.
func (s *Stack) settings(t testing.TB, service string, db Database, own map[string]string) map[string]string {
	settings := map[string]string{
		"ADMIN_ADDR":           "127.0.0.1:" + strconv.Itoa(testkit.FreePort(t)),
		"DATABASE_URL":         db.AppURL,
		"MIGRATE_DATABASE_URL": db.OwnerURL,
		"AMQP_URL":             s.Vhost.URL(service),
		"LOG_FORMAT":           "json",
		"LOG_LEVEL":            "debug",
		"SHUTDOWN_TIMEOUT":     "15s",
	}
	for _, address := range []string{db.AppURL, db.OwnerURL, settings["AMQP_URL"]} {
		s.tokens.addPassword(address)
	}
	for name, value := range own {
		settings[name] = value
	}
	s.tokens.add(own["LIVEKIT_API_SECRET"])
	return settings
}

func database(t testing.TB, postgres *testkit.PG, service string) Database {
	t.Helper()
	app, owner := postgres.Database(t, service, nil)
	u, err := url.Parse(app)
	if err != nil {
		t.Fatalf("reading the database's URL: %v", err)
	}
	return Database{AppURL: app, OwnerURL: owner, AdminURL: postgres.AdminURL(strings.TrimPrefix(u.Path, "/"))}
}

// own ends the process with the test, shows its log where the test failed, and holds the log
// against what may never be in one.
func (s *Stack) own(t testing.TB, p *Process) {
	t.Cleanup(func() {
		p.End()
		log := s.inspect(t, p)
		if t.Failed() {
			t.Logf("%s logged:\n%s", p.name, log)
		}
	})
}

// inspect holds a log against what may never be in one, and gives it.
func (s *Stack) inspect(t testing.TB, p *Process) string {
	log := p.Log()
	if strings.Contains(log, "DATA RACE") {
		t.Errorf("%s has a data race", p.name)
	}
	for _, found := range s.tokens.foundIn(log) {
		t.Errorf("the log of %s holds a secret: %s", p.name, found)
	}
	return log
}

// Start starts both services.
func (s *Stack) Start(t testing.TB) {
	t.Helper()
	s.Sessions.Start(t)
	s.Bridge.Start(t)
}

// AwaitReady waits until both services are ready and have everything that they need.
func (s *Stack) AwaitReady(t testing.TB) {
	t.Helper()
	for _, p := range []*Process{s.Sessions, s.Bridge} {
		s.await(t, p)
	}
}

func (s *Stack) await(t testing.TB, p *Process) {
	t.Helper()
	testkit.Eventually(t, startPatience, func(ctx context.Context) error {
		if !p.Running() {
			t.Fatalf("%s has ended", p.name)
		}
		status, degraded, err := s.Readiness(ctx, p)
		if err == nil && (status != 200 || len(degraded) > 0) {
			err = fmt.Errorf("%s answers %d, degraded: %v", p.name, status, degraded)
		}
		return err
	})
}

// Readiness reads a service's /readyz: its status, and the names of what is away that it goes on
// without.
func (s *Stack) Readiness(ctx context.Context, p *Process) (status int, degraded []string, err error) {
	api := s.API
	if p == s.Bridge {
		api = callplane.New(s.BridgeURL)
		defer api.Close()
	}
	status, body, err := api.Ready(ctx)
	if err != nil {
		return 0, nil, err
	}
	var ready struct {
		Degraded []string `json:"degraded"`
	}
	if err := json.Unmarshal(body, &ready); err != nil {
		return 0, nil, fmt.Errorf("reading /readyz: %w: %s", err, body)
	}
	return status, ready.Degraded, nil
}

// Token asks for a token as the user, and remembers it as something that no log may hold. Where
// none is issued in time, on a busy machine, it asks again, as any client does.
func (s *Stack) Token(t testing.TB, sessionID, user string) callplane.Token {
	t.Helper()
	var token callplane.Token
	testkit.Eventually(t, Patience, func(ctx context.Context) error {
		var err error
		token, err = s.API.As(user).Token(ctx, sessionID, callplane.TokenRequest{})
		var problem *callplane.Problem
		if err == nil || errors.As(err, &problem) && problem.Retryable {
			return err
		}
		t.Fatalf("asking for a token as %s: %v", user, err)
		return nil
	})
	s.tokens.add(token.Token)
	return token
}

// Join lets the user into the session's call, publishing audio. They leave with the test at the
// latest.
func (s *Stack) Join(t testing.TB, sessionID, user string) *caller.Caller {
	t.Helper()
	token := s.Token(t, sessionID, user)
	ctx := testkit.Context(t, Patience)
	c, err := caller.Join(ctx, token.URL, token.Token)
	if err != nil {
		t.Fatalf("letting %s join: %v", user, err)
	}
	t.Cleanup(c.Leave)
	if _, err := c.PublishAudio(ctx); err != nil {
		t.Fatal(err)
	}
	return c
}

// JoinApart is Join with the caller in a process of its own.
func (s *Stack) JoinApart(t testing.TB, sessionID, user string) *caller.Process {
	t.Helper()
	return s.Speak(t, s.Token(t, sessionID, user))
}

// Speak lets somebody who has a token join in a process of their own, publishing audio.
func (s *Stack) Speak(t testing.TB, token callplane.Token) *caller.Process {
	t.Helper()
	p := caller.Start(t, Binary(t, Caller), token.URL, token.Token)
	p.Publish(t)
	return p
}

// TryJoin has the holder of a token join in a process of its own. The server may refuse.
func (s *Stack) TryJoin(t testing.TB, token callplane.Token) (*caller.Process, error) {
	t.Helper()
	return caller.TryStart(t, Binary(t, Caller), token.URL, token.Token)
}

// RoomExists asks LiveKit whether it has the room.
func (s *Stack) RoomExists(ctx context.Context, name string) (bool, error) {
	res, err := s.Rooms.ListRooms(ctx, &livekit.ListRoomsRequest{Names: []string{name}})
	if err != nil {
		return false, fmt.Errorf("asking LiveKit for its rooms: %w", err)
	}
	return len(res.GetRooms()) > 0, nil
}
