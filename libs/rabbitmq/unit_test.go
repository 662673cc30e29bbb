package rabbitmq

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
)

func TestAURLThatCannotBeReadKeepsItsPassword(t *testing.T) {
	for _, url := range []string{"amqp://user:pa ss\x7f%zz@host", "http://user:pa ss%zz@host/", "://user:pa ss%zz", "amqp://u:pa ss%zz@h:port"} {
		_, err := NewConnector(Config{URL: config.Secret(url)})
		require.Error(t, err, url)
		assert.NotContains(t, err.Error(), "pa ss")
		assert.NotContains(t, err.Error(), "zz@")
		assert.Contains(t, err.Error(), "amqp://user:password@host:5672/vhost", "it says what is expected")
	}
}

func TestOldBrokersAreTurnedDown(t *testing.T) {
	cases := []struct {
		product, version, oldest string
		want                     string // empty: accepted
	}{
		{"RabbitMQ", "4.0.5", "4.0", ""},
		{"RabbitMQ", "4.1.0-rc.1", "4.0", ""},
		{"RabbitMQ", "4.10.0", "4.2", ""},
		{"RabbitMQ", "3.13.7", "4.0", "RabbitMQ 3.13.7; 4.0 is the oldest that is supported, upgrade it"},
		{"RabbitMQ", "4.0.0-beta.5", "4.0", "is the oldest"},
		{"RabbitMQ", "", "4.0", "RabbitMQ 4.0 or newer is needed"},
		{"Other", "4.1.0", "4.0", "RabbitMQ 4.0 or newer is needed"},
		{"Other", "", "", ""},
	}
	for _, c := range cases {
		err := checkVersion(c.product, c.version, c.oldest, "here")
		if c.want == "" {
			require.NoError(t, err, c)
			continue
		}
		var fatal *FatalError
		require.ErrorAs(t, err, &fatal, c)
		assert.ErrorContains(t, err, c.want)
	}
}

func TestErrorsThatStayAreFatalAndSayWhatToDo(t *testing.T) {
	server := func(code int, reason string) error { return &amqp.Error{Code: code, Reason: reason, Server: true} }
	cases := []struct {
		err  error
		want string // empty: not fatal
	}{
		{dialError(server(403, "ACCESS_REFUSED - Login was refused"), "svc", "here"), `user "svc"`},
		{dialError(server(530, "NOT_ALLOWED - vhost x not found"), "svc", "here"), "virtual host"},
		{dialError(server(530, "NOT_ALLOWED - access to vhost 'x' refused for user 'svc'"), "svc", "here"), "grant"},
		{dialError(server(530, "NOT_ALLOWED - connection limit (5) is reached"), "svc", "here"), ""},
		{dialError(amqp.ErrCredentials, "svc", "here"), ""}, // the socket was closed while logging in, as by a broker that stops
		{dialError(errors.New("connection refused"), "svc", "here"), ""},
		{declareError(server(406, "inequivalent arg"), "exchange", topology.PartitionsExchange, ""), "EVENT_PARTITIONS"},
		{declareError(server(406, "inequivalent arg"), "queue", "q", ""), "delete it"},
		{declareError(server(403, "ACCESS_REFUSED"), "queue", "q", ""), "permissions"},
		{declareError(server(406, "PRECONDITION_FAILED - unknown exchange type 'x-consistent-hash'"), "exchange", "e", "x-consistent-hash"), "rabbitmq-plugins enable"},
		{declareError(server(404, "NOT_FOUND"), "binding", "b", ""), ""},
		{declareError(amqp.ErrClosed, "queue", "q", ""), ""},
		{consumeError(server(403, "ACCESS_REFUSED"), "q", "svc"), "may not read"},
		{consumeError(server(404, "NOT_FOUND"), "q", "svc"), ""},
	}
	for _, c := range cases {
		var fatal *FatalError
		if c.want == "" {
			assert.False(t, errors.As(c.err, &fatal), "%v", c.err)
			continue
		}
		require.ErrorAs(t, c.err, &fatal)
		assert.ErrorContains(t, c.err, c.want)
	}
}

func TestPrioritiesShareThePartitions(t *testing.T) {
	const partitions, rounds = 8, 500
	won := 0
	for round := range rounds {
		a, b := fmt.Sprint("replica-a-", round), fmt.Sprint("replica-b-", round)
		for p := range partitions {
			require.GreaterOrEqual(t, priority(a, p), int32(0))
			require.Equal(t, priority(a, p), priority(a, p), "it must not change")
			if priority(a, p) > priority(b, p) {
				won++
			}
		}
	}
	assert.InDelta(t, 0.5, float64(won)/(partitions*rounds), 0.05, "each replica is as often the better one")
}

func TestParkedMessagesFitIntoAFrame(t *testing.T) {
	huge := strings.Repeat("ä", 100<<10)
	d := Delivery{Exchange: "e", RoutingKey: "k", UserID: "u", MessageID: "m", Body: []byte("body"), Headers: map[string]string{"session-id": "s", "traceparent": "t", "huge": huge}}
	m := deadMessage("x", d, &Rejected{Reason: "schema", Detail: huge}, time.Now())
	size := 0
	for name, value := range m.Headers {
		size += len(name) + len(value)
		assert.True(t, utf8.ValidString(value), name)
	}
	assert.Less(t, size, 64<<10)
	assert.Equal(t, "s", m.Headers["session-id"], "the short ones stay")
	assert.Equal(t, "t", m.Headers["traceparent"])
	assert.Equal(t, "schema", m.Headers[HeaderReason])
	assert.Equal(t, "x.dead", m.Key)
	assert.Equal(t, []byte("body"), m.Body)
	assert.Len(t, d.Headers, 3, "the delivery is not touched")
}

// Whoever sends a message to the events exchange can't have it taken for one that was put back.
func TestHeadersOfParkingAreNotTakenFromASender(t *testing.T) {
	forged := map[string]string{
		"session-id": "s", HeaderOriginalUserID: "sessions", HeaderOriginalRoutingKey: "call.created", HeaderOriginalQueue: "x.7",
		HeaderRequeues: "9", HeaderReason: "none", "x-delivery-count": "3", "x-first-death-queue": "q",
	}
	d := Delivery{Exchange: "call.events", RoutingKey: "k", UserID: "u", Headers: forged, Partition: 2}
	got, rejected := restored(d, "sessions")
	assert.Nil(t, rejected)
	assert.Equal(t, d, got)
	m := deadMessage("x", got, &Rejected{Reason: "schema", Detail: "why"}, time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC))
	assert.Equal(t, map[string]string{
		"session-id": "s", HeaderReason: "schema", HeaderDetail: "why", HeaderParkedAt: "2026-01-02T03:04:05.000000006Z",
		HeaderOriginalExchange: "call.events", HeaderOriginalRoutingKey: "k", HeaderOriginalUserID: "u", HeaderOriginalQueue: "x.2",
	}, m.Headers)

	d.Exchange = topology.RequeueExchange
	for _, user := range []string{"bridge", ""} {
		d.UserID = user
		got, rejected = restored(d, "sessions")
		require.NotNil(t, rejected)
		assert.Equal(t, "forbidden_producer", rejected.Reason)
		assert.Equal(t, d, got, "it is parked as what it is")
	}
	d.UserID = "sessions"
	got, rejected = restored(d, "sessions")
	assert.Nil(t, rejected)
	assert.Equal(t, "call.created", got.RoutingKey)
	assert.Equal(t, 9, got.Requeues)
	assert.Equal(t, map[string]string{"session-id": "s"}, got.Headers)
}

// What a message says of its way is believed of the service's own user only; of others the broker knows the sender.
func TestAParkedMessageIsReadWithoutTrust(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	deaths := []any{amqp.Table{
		"reason": "delivery_limit", "queue": "x.3", "exchange": "call.events", "routing-keys": []any{"call.connected"}, "time": at, "count": int64(1),
	}}
	said := amqp.Table{
		"x-death": deaths, HeaderReason: "schema", HeaderDetail: "d", HeaderOriginalUserID: "sessions", HeaderOriginalRoutingKey: "call.created",
		HeaderOriginalExchange: "call.events", HeaderOriginalQueue: "x.1", HeaderRequeues: "2",
	}
	own := newParkedMessage(amqp.Delivery{MessageId: "m", UserId: "me", Headers: said}, "x", "me")
	assert.Equal(t, []any{"m", "schema", "d", "call.created", "sessions", "x.1", 2},
		[]any{own.ID, own.Reason, own.Detail, own.Type, own.Sender, own.Queue, own.Requeues})

	other := newParkedMessage(amqp.Delivery{UserId: "bridge", Headers: said, Body: []byte("{}")}, "x", "me")
	assert.Equal(t, []any{"delivery_limit", "", "call.connected", "bridge", "x.3", 0, at},
		[]any{other.Reason, other.Detail, other.Type, other.Sender, other.Queue, other.Requeues, other.ParkedAt})
	assert.Equal(t, "sha256-44136fa355b3678a", other.ID)
	assert.Equal(t, deaths[0].(amqp.Table)["queue"], other.Headers["x-death"].([]any)[0].(map[string]any)["queue"])

	delete(said, HeaderReason)
	again := newParkedMessage(amqp.Delivery{MessageId: "m", UserId: "me", Headers: said}, "x", "me")
	assert.Equal(t, []any{"delivery_limit", "call.created", "sessions", "x.3", 2},
		[]any{again.Reason, again.Type, again.Sender, again.Queue, again.Requeues}, "put back, and given up on by the broker")

	for _, queue := range []string{"y.3", "x.dead", "x.", "x", ""} {
		deaths[0].(amqp.Table)["queue"] = queue
		assert.Empty(t, newParkedMessage(amqp.Delivery{UserId: "bridge", Headers: said}, "x", "me").Queue, queue)
	}
	assert.Empty(t, newParkedMessage(amqp.Delivery{UserId: "bridge"}, "x", "me").Queue)
}

func TestHeadersKeepWhatHasATextForm(t *testing.T) {
	got := headers(amqp.Table{"s": "text", "b": []byte("bytes"), "n": int64(7), "t": true, "list": []any{"x"}, "table": amqp.Table{}, "nil": nil})
	assert.Equal(t, map[string]string{"s": "text", "b": "bytes", "n": "7", "t": "true"}, got)
}

// overdue is a context in the moment between its deadline and its end.
type overdue struct{ context.Context }

func (overdue) Deadline() (time.Time, bool) { return time.Now().Add(-time.Millisecond), true }

func TestACallWithoutTimeLeftIsNoReply(t *testing.T) {
	c, err := NewConnector(Config{URL: "amqp://user:secret@127.0.0.1:1/", Name: "test"})
	require.NoError(t, err)
	client := NewRPCClient(c, "test", time.Minute)
	client.current.Store(newCallChannel(nil))
	reply, err := client.Call(overdue{t.Context()}, "exchange", "key", nil, nil)
	require.ErrorIs(t, err, ErrTimeout)
	require.Nil(t, reply)
}
