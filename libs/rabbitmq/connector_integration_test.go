//go:build integration

package rabbitmq

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/libs/testkit"
)

func TestABrokerThatIsAwayIsWaitedFor(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	link, url := newProxy(t, v.URL("sessions"))
	link.Down()
	c := connector(t, url, "early")
	DeclareOn(c, topology.Shared(2))
	publisher := NewPublisher(c, "test")
	assert.NoError(t, c.Check(), "nobody wants it yet")
	r := start(t, c)
	require.ErrorIs(t, publisher.Publish(t.Context(), numbered("s", 0, 1)[0]), ErrUnavailable, "said at once")
	assert.False(t, c.Connected())
	require.Eventually(t, func() bool { return c.Check() != nil }, patience, 10*time.Millisecond)
	link.Up()
	connected(t, r)
	require.Eventually(t, func() bool {
		return publisher.Publish(t.Context(), numbered("s", 0, 1)[0]) == nil
	}, patience, 10*time.Millisecond)
	assert.Regexp(t, `^4\.`, c.ServerVersion())
	link.Down()
	require.Eventually(t, func() bool { return !c.Connected() }, patience, 10*time.Millisecond)
	link.Up()
	connected(t, r)
	assert.NoError(t, c.Check())
	r.stop()
	require.NoError(t, <-r.err)
	assert.False(t, c.Connected())
	assert.NoError(t, c.Check(), "nobody wants it any more")
}

func TestWhatStaysWrongStopsTheConnector(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	right, err := url.Parse(v.URL("sessions"))
	require.NoError(t, err)
	password, _ := right.User.Password()
	wrongPassword, wrongVhost := *right, *right
	wrongPassword.User = url.UserPassword("sessions", "not-the-password")
	wrongVhost.Path, wrongVhost.RawPath = "/no-such-vhost", ""
	declaring := func(t topology.Topology) func(*Connector) { return func(c *Connector) { DeclareOn(c, t) } }
	cases := map[string]struct {
		url     string
		oldest  string
		prepare func(*Connector)
		want    string
	}{
		"password":   {wrongPassword.String(), "4.0", nil, "check the user and password"},
		"vhost":      {wrongVhost.String(), "4.0", nil, "no such virtual host"},
		"version":    {right.String(), "99.0", nil, "99.0 is the oldest that is supported, upgrade it"},
		"permission": {right.String(), "4.0", declaring(topology.Commands()), "grant it the permissions"},
		"plugin": {v.URL("admin"), "4.0", declaring(topology.Topology{
			Exchanges: []topology.Exchange{{Name: "x", Kind: "x-not-there"}},
		}), "enable the plugin"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			connector, err := NewConnector(Config{URL: config.Secret(c.url), Name: name, MinVersion: c.oldest})
			require.NoError(t, err)
			if c.prepare != nil {
				c.prepare(connector)
			}
			err = connector.Run(testkit.Context(t, patience))
			var fatal *FatalError
			require.ErrorAs(t, err, &fatal)
			require.ErrorContains(t, err, c.want)
			assert.NotContains(t, err.Error(), password)
			assert.NotContains(t, err.Error(), "not-the-password")
		})
	}
}

func TestAnotherNumberOfPartitionsRefusesToStart(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	sender(t, v, 4)
	for _, user := range []string{"sessions", "bridge"} {
		other := connector(t, config.Secret(v.URL(user)), "other")
		DeclareOn(other, topology.Shared(5))
		err := other.Run(testkit.Context(t, patience))
		var fatal *FatalError
		require.ErrorAs(t, err, &fatal)
		assert.ErrorContains(t, err, "EVENT_PARTITIONS")
		assert.ErrorContains(t, err, "call.partitions.5")
		assert.ErrorContains(t, err, "call.partitions.4", "it names the number in use")
	}
	assert.Len(t, v.Queues(t), 2*(4+1), "nothing was declared")
}

func TestEveryServiceMayDeclareTheTopologyAgain(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	for _, user := range []string{"sessions", "bridge", "sessions"} {
		c := connector(t, config.Secret(v.URL(user)), user)
		DeclareOn(c, topology.Shared(8))
		if user == topology.UserBridge {
			DeclareOn(c, topology.Commands())
		}
		r := start(t, c)
		connected(t, r)
		r.stop()
		require.NoError(t, <-r.err)
	}
}

// Looking through dead messages again and again must not use up their deliveries.
func TestDeadMessagesStayHoweverOftenTheyAreLookedAt(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	queue := topology.DeadQueue(topology.SessionsEvents)
	require.NoError(t, publisher.Publish(t.Context(), Message{Exchange: topology.DeadExchange, Key: queue, ID: "1", Body: []byte("{}")}))
	ch := adminChannel(t, v)
	for range 150 {
		d, ok, err := ch.Get(queue, false)
		require.NoError(t, err)
		require.True(t, ok)
		require.NoError(t, d.Nack(false, true))
	}
}

// A message that brings its consumers down again and again ends on the dead exchange.
func TestTheDeliveryLimitCatchesWhatCrashesConsumers(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	publisher := sender(t, v, 1)
	publishAll(t, publisher, numbered("s", 0, 1))
	conn := adminConnection(t, v)
	for range 101 { // a consumer that ends with the message unacknowledged has crashed
		ch := newChannel(t, conn)
		got, err := ch.Consume(topology.PartitionQueue(topology.SessionsEvents, 0), "", false, false, false, false, nil)
		require.NoError(t, err)
		select {
		case <-got:
		case <-time.After(patience):
			t.Fatal("the message is gone too early")
		}
		require.NoError(t, ch.Close())
	}
	require.Eventually(t, func() bool {
		return depth(t, v, topology.DeadQueue(topology.SessionsEvents)) == 1
	}, patience, 10*time.Millisecond)
	d, ok, err := newChannel(t, conn).Get(topology.DeadQueue(topology.SessionsEvents), true)
	require.NoError(t, err)
	require.True(t, ok)
	assert.Equal(t, "0", string(d.Body))
}

// A peer that vanished without a word is noticed by the heartbeat.
func TestASilentConnectionIsGivenUp(t *testing.T) {
	v := testkit.Rabbit(t).Vhost(t)
	link, url := newProxy(t, v.URL("sessions"))
	c := connector(t, url, "silent")
	publisher := NewPublisher(c, "test")
	ended := make(chan error, 1)
	c.Serve(func(ctx context.Context, _ *amqp.Connection) error {
		<-ctx.Done()
		select {
		case ended <- context.Cause(ctx):
		default:
		}
		return nil
	})
	r := start(t, c)
	connected(t, r)
	require.Eventually(t, func() bool { return publisher.current.Load() != nil }, patience, 10*time.Millisecond)
	link.Freeze()
	short := testkit.Context(t, 200*time.Millisecond)
	err := publisher.Publish(short, Message{Exchange: "", Key: "nowhere", ID: "1", Body: []byte("{}")})
	require.ErrorIs(t, err, ErrUnconfirmed, "nobody waits longer than told")
	var lost *lostError
	select {
	case err := <-ended:
		require.True(t, errors.As(err, &lost), "%v", err)
	case <-time.After(patience):
		t.Fatal("the silence was not noticed")
	}
	link.Thaw()
	connected(t, r)
}
