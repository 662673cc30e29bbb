package amqp_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/rabbitmq"
	"github.com/callplane/callplane/services/sessions/internal/adapters/amqp"
	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func delivery(e events.Accepted) rabbitmq.Delivery {
	return rabbitmq.Delivery{
		Exchange: topology.EventsExchange, RoutingKey: string(e.Type), MessageID: e.EventID, UserID: topology.UserBridge,
		Headers: map[string]string{topology.HeaderSessionID: e.SessionID}, Body: e.Raw,
	}
}

func TestHandler(t *testing.T) {
	store, counters := memory.NewStore(), &memory.Counters{}
	handle := amqp.NewHandler(app.ApplyEvent{Store: store, Clock: memory.NewClock(portstest.Start), IDs: memory.IDs{}, Counters: counters})
	session, log := portstest.NewSession(t)
	_, err := store.Create(t.Context(), session, log)
	require.NoError(t, err)
	id := session.ID()
	good := delivery(portstest.Fact(t, id, portstest.NewID(t), portstest.Connected(id, "alice")))

	require.NoError(t, handle(t.Context(), good))
	require.Equal(t, 1, counters.Count("appended", ""))
	require.NoError(t, handle(t.Context(), good), "again")
	require.Equal(t, 1, counters.Count("duplicate", ""))

	own := good
	own.UserID, own.Body = topology.UserSessions, []byte("not even looked at")
	require.NoError(t, handle(t.Context(), own), "its own events are in the log already")

	for reason, spoil := range map[events.Reason]func(*rabbitmq.Delivery){
		events.Malformed:          func(d *rabbitmq.Delivery) { d.Body = []byte("{") },
		events.PropertyMismatch:   func(d *rabbitmq.Delivery) { d.MessageID = portstest.NewID(t) },
		events.ForbiddenProducer:  func(d *rabbitmq.Delivery) { d.UserID = "billing" },
		events.Oversize:           func(d *rabbitmq.Delivery) { d.Body = make([]byte, events.MaxSize+1) },
		events.UnknownType:        func(d *rabbitmq.Delivery) { d.Body = []byte(`{"type":"call.sung","version":"1.0"}`) },
		events.UnsupportedVersion: func(d *rabbitmq.Delivery) { d.Body = []byte(`{"type":"call.connected","version":"2.0"}`) },
	} {
		bad := good
		spoil(&bad)
		var rejected *rabbitmq.Rejected
		require.ErrorAs(t, handle(t.Context(), bad), &rejected, string(reason))
		require.Equal(t, string(reason), rejected.Reason)
	}
	require.Empty(t, store.Quarantine())
}

// TestWhatServicesSay comes from the users of orchestrator and billing, each in their own name and of their own families.
func TestWhatServicesSay(t *testing.T) {
	store, counters := memory.NewStore(), &memory.Counters{}
	handle := amqp.NewHandler(app.ApplyEvent{Store: store, Clock: memory.NewClock(portstest.Start), IDs: memory.IDs{}, Counters: counters})
	session, log := portstest.NewSession(t)
	_, err := store.Create(t.Context(), session, log)
	require.NoError(t, err)
	from := func(user string, e events.Accepted) rabbitmq.Delivery {
		d := delivery(e)
		d.UserID = user
		return d
	}
	id, nowhere := session.ID(), portstest.NewID(t)
	spoken, billed := portstest.Said(t, id, portstest.NewID(t), portstest.Spoken("yes")), portstest.Said(t, id, portstest.NewID(t), portstest.Billed())
	for _, d := range []rabbitmq.Delivery{from(events.ProducerOrchestrator, spoken), from(events.ProducerBilling, billed), from(events.ProducerBilling, billed)} {
		require.NoError(t, handle(t.Context(), d))
	}
	require.NoError(t, handle(t.Context(), from(events.ProducerOrchestrator, portstest.Said(t, nowhere, portstest.NewID(t), portstest.Spoken("lost")))))
	require.NoError(t, handle(t.Context(), from(events.ProducerOrchestrator, portstest.Said(t, id, spoken.EventID, portstest.Spoken("no")))))
	for reason, d := range map[events.Reason]rabbitmq.Delivery{
		events.ForbiddenProducer: from(events.ProducerOrchestrator, billed),
		events.ForbiddenActor:    from(events.ProducerOrchestrator+".asr", spoken),
	} {
		var rejected *rabbitmq.Rejected
		require.ErrorAs(t, handle(t.Context(), d), &rejected, string(reason))
		require.Equal(t, string(reason), rejected.Reason)
	}
	require.Equal(t, 2, counters.Count("appended", ""))
	require.Equal(t, 1, counters.Count("duplicate", ""))
	require.Equal(t, 1, counters.Count("quarantined", "unknown_session"))
	require.Equal(t, 1, counters.Count("quarantined", "event_id_conflict"))
	page, err := store.Events(t.Context(), ports.System(), id, ports.PageRequest{Limit: 10})
	require.NoError(t, err)
	require.Len(t, page.Items, 3)
	require.Len(t, store.Outbox(), 1, "they have published it themselves")
}

// awayStore is a database that is away.
type awayStore struct{ *memory.Store }

func (awayStore) Take(context.Context, events.Accepted, func(*domain.Session, *domain.Digest) (ports.Intake, error)) error {
	return ports.ErrUnavailable
}

func TestADatabaseThatIsAwayIsNotTheMessagesFault(t *testing.T) {
	handle := amqp.NewHandler(app.ApplyEvent{Store: awayStore{memory.NewStore()}, Clock: memory.NewClock(portstest.Start), IDs: memory.IDs{}, Counters: &memory.Counters{}})
	id := portstest.NewID(t)
	err := handle(t.Context(), delivery(portstest.Fact(t, id, portstest.NewID(t), portstest.Connected(id, "alice"))))
	require.ErrorIs(t, err, ports.ErrUnavailable)
	var rejected *rabbitmq.Rejected
	require.NotErrorAs(t, err, &rejected)
}

// caller answers commands in place of the broker.
type caller func(command commands.TokenIssue) ([]byte, error)

func (c caller) Call(_ context.Context, exchange, key string, body []byte, headers map[string]string) ([]byte, error) {
	command, err := commands.DecodeTokenIssue(body)
	if err != nil || exchange != topology.CommandsExchange || key != commands.TokenIssueName || headers[topology.HeaderSessionID] != command.SessionID {
		return nil, fmt.Errorf("a wrong request to %s with key %s: %w", exchange, key, err)
	}
	return c(command)
}

func request(t *testing.T) ports.TokenRequest {
	return ports.TokenRequest{
		SessionID: portstest.NewID(t), SessionVersion: 3, Kind: events.KindVideo, UserID: "alice", Role: events.RoleHost,
		TTL: time.Minute, RequestedAt: portstest.Start,
	}
}

func TestTokens(t *testing.T) {
	asked := request(t)
	tokens := amqp.NewTokens(caller(func(c commands.TokenIssue) ([]byte, error) {
		require.Equal(t, commands.TokenIssue{
			CommandID: c.CommandID, SessionID: asked.SessionID, SessionVersion: 3, UserID: "alice", Role: events.RoleHost, TTLSeconds: 60,
			Kind: events.KindVideo, IssuedAt: events.At(portstest.Start),
		}, c)
		return commands.EncodeTokenReply(commands.Succeed(c.CommandID, commands.TokenIssued{
			Provider: "livekit", URL: "wss://example.org", Token: commands.NewJoinToken("secret"), RoomName: "call-1", Identity: "alice#default",
			ExpiresAt: events.At(portstest.Start),
		}))
	}), memory.IDs{})
	token, err := tokens.Issue(t.Context(), asked)
	require.NoError(t, err)
	require.Equal(t, "secret", token.Secret.Reveal())
	require.NotContains(t, fmt.Sprintf("%+v %#v", token, token), "secret")
	require.Equal(t, "alice#default", token.Identity)
}

func TestRefusedTokens(t *testing.T) {
	for code, want := range map[commands.Code]error{
		commands.SessionFinal: domain.ErrSessionFinal,
		commands.DeviceLimit:  ports.ErrDeviceLimit,
		commands.StaleCommand: ports.ErrProviderUnavailable,
		commands.Unavailable:  ports.ErrProviderUnavailable,
	} {
		tokens := amqp.NewTokens(caller(func(c commands.TokenIssue) ([]byte, error) {
			return commands.EncodeTokenReply(commands.Refuse[commands.TokenIssued](c.CommandID, commands.Failure{Code: code, Message: "no"}))
		}), memory.IDs{})
		_, err := tokens.Issue(t.Context(), request(t))
		require.ErrorIs(t, err, want, string(code))
	}
	tokens := amqp.NewTokens(caller(func(c commands.TokenIssue) ([]byte, error) {
		return commands.EncodeTokenReply(commands.Refuse[commands.TokenIssued](c.CommandID, commands.Failure{Code: commands.Internal, Message: "no"}))
	}), memory.IDs{})
	_, err := tokens.Issue(t.Context(), request(t))
	var failure *commands.Failure
	require.ErrorAs(t, err, &failure)
	require.NotErrorIs(t, err, ports.ErrProviderUnavailable)
}

func TestNobodyWhoIssuesTokens(t *testing.T) {
	for _, away := range []error{rabbitmq.ErrUnavailable, rabbitmq.ErrUnroutable, rabbitmq.ErrTimeout, rabbitmq.ErrUnconfirmed, rabbitmq.ErrRemote} {
		_, err := amqp.NewTokens(caller(func(commands.TokenIssue) ([]byte, error) { return nil, away }), memory.IDs{}).Issue(t.Context(), request(t))
		require.ErrorIs(t, err, ports.ErrProviderUnavailable)
		require.ErrorIs(t, err, away)
	}
	for name, answer := range map[string]caller{
		"refused":  func(commands.TokenIssue) ([]byte, error) { return nil, rabbitmq.ErrRefused },
		"gave up":  func(commands.TokenIssue) ([]byte, error) { return nil, context.Canceled },
		"nonsense": func(commands.TokenIssue) ([]byte, error) { return []byte("{}"), nil },
		"to another": func(commands.TokenIssue) ([]byte, error) {
			return commands.EncodeTokenReply(commands.Refuse[commands.TokenIssued](portstest.NewID(t), commands.Failure{Code: commands.Internal, Message: "no"}))
		},
	} {
		_, err := amqp.NewTokens(answer, memory.IDs{}).Issue(t.Context(), request(t))
		require.Error(t, err, name)
		require.False(t, errors.Is(err, ports.ErrProviderUnavailable), name)
	}
}

// asked answers presence commands in place of the broker.
type asked func(command commands.CallPresence) ([]byte, error)

func (a asked) Call(_ context.Context, exchange, key string, body []byte, headers map[string]string) ([]byte, error) {
	command, err := commands.DecodeCallPresence(body)
	if err != nil || exchange != topology.CommandsExchange || key != commands.CallPresenceName || headers[topology.HeaderSessionID] != command.SessionID {
		return nil, fmt.Errorf("a wrong request to %s with key %s: %w", exchange, key, err)
	}
	return a(command)
}

func TestPresence(t *testing.T) {
	id := portstest.NewID(t)
	for _, shown := range []commands.CallPresenceShown{{}, {Connected: true}, {Activated: true}} {
		presence, err := amqp.NewPresence(asked(func(c commands.CallPresence) ([]byte, error) {
			require.Equal(t, commands.CallPresence{CommandID: c.CommandID, SessionID: id, SessionVersion: 2}, c)
			return commands.EncodePresenceReply(commands.Succeed(c.CommandID, shown))
		}), memory.IDs{}).Ask(t.Context(), id, 2)
		require.NoError(t, err)
		require.Equal(t, ports.CallPresence{Connected: shown.Connected, Activated: shown.Activated}, presence)
	}
}

func TestPresenceThatIsNotToldIsAnError(t *testing.T) {
	refused := func(id string, code commands.Code) ([]byte, error) {
		return commands.EncodePresenceReply(commands.Refuse[commands.CallPresenceShown](id, commands.Failure{Code: code, Message: "no"}))
	}
	for name, tc := range map[string]struct {
		answer asked
		away   bool
	}{
		"nobody serves":   {func(commands.CallPresence) ([]byte, error) { return nil, rabbitmq.ErrUnroutable }, true},
		"no answer":       {func(commands.CallPresence) ([]byte, error) { return nil, rabbitmq.ErrTimeout }, true},
		"an old bridge":   {func(commands.CallPresence) ([]byte, error) { return nil, rabbitmq.ErrRemote }, true},
		"LiveKit is away": {func(c commands.CallPresence) ([]byte, error) { return refused(c.CommandID, commands.Unavailable) }, true},
		"asked too late":  {func(c commands.CallPresence) ([]byte, error) { return refused(c.CommandID, commands.StaleCommand) }, true},
		"a fault":         {func(c commands.CallPresence) ([]byte, error) { return refused(c.CommandID, commands.Internal) }, false},
		"nonsense":        {func(commands.CallPresence) ([]byte, error) { return []byte("{}"), nil }, false},
		"to another":      {func(commands.CallPresence) ([]byte, error) { return refused(portstest.NewID(t), commands.Unavailable) }, false},
	} {
		presence, err := amqp.NewPresence(tc.answer, memory.IDs{}).Ask(t.Context(), portstest.NewID(t), 1)
		require.Error(t, err, name)
		require.Zero(t, presence, name)
		require.Equal(t, tc.away, errors.Is(err, ports.ErrProviderUnavailable), name)
	}
	_, err := amqp.NewPresence(asked(nil), memory.IDs{}).Ask(t.Context(), "no id", 1)
	var invalid *commands.InvalidError
	require.ErrorAs(t, err, &invalid)
}

func TestBadURLIsToldWithoutThePassword(t *testing.T) {
	_, err := amqp.NewBroker(amqp.Config{URL: config.Secret("amqp://u:geheim@ho st/"), Partitions: 8, Replica: "x", Deadline: time.Second})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "geheim")
}
