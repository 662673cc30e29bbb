//go:build integration

package systemtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/testkit"
)

// brokerFile reads a file of deployments/rabbitmq.
func brokerFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testkit.Root(), "deployments", "rabbitmq", name))
	require.NoError(t, err)
	return text
}

// TestBrokerIsSetUpByItsFiles asks the running broker what is enabled and who may do what: neither less nor more than the files say.
func TestBrokerIsSetUpByItsFiles(t *testing.T) {
	t.Parallel()
	broker := testkit.Rabbit(t)

	plugins := regexp.MustCompile(`rabbitmq_[a-z_]+`).FindAllString(string(brokerFile(t, "enabled_plugins")), -1)
	require.NotEmpty(t, plugins)
	require.Contains(t, plugins, "rabbitmq_consistent_hash_exchange")
	require.ElementsMatch(t, plugins, enabledPlugins(t, broker))

	var want struct {
		Users []struct {
			Name string   `json:"name"`
			Tags []string `json:"tags"`
		} `json:"users"`
		Permissions      []map[string]string `json:"permissions"`
		TopicPermissions []map[string]string `json:"topic_permissions"`
	}
	require.NoError(t, json.Unmarshal(brokerFile(t, "definitions.json"), &want))
	got := want
	got.Users, got.Permissions, got.TopicPermissions = nil, nil, nil
	broker.Management.Get(t, "/api/users", &got.Users)
	broker.Management.Get(t, "/api/permissions", &got.Permissions)
	broker.Management.Get(t, "/api/topic-permissions", &got.TopicPermissions)
	require.ElementsMatch(t, want.Users, got.Users)
	inRoot := func(p map[string]string) bool { return p["vhost"] != "/" } // Other tests have virtual hosts of their own.
	require.ElementsMatch(t, want.Permissions, slices.DeleteFunc(got.Permissions, inRoot))
	require.ElementsMatch(t, want.TopicPermissions, slices.DeleteFunc(got.TopicPermissions, inRoot))
}

// enabledPlugins asks the broker's one node, leaving out what is enabled only because another plugin needs it.
func enabledPlugins(t *testing.T, broker *testkit.Broker) []string {
	t.Helper()
	implied := []string{"rabbitmq_management_agent", "rabbitmq_web_dispatch"}
	var enabled []string
	testkit.Eventually(t, stack.Patience, func(ctx context.Context) error { // A node that just started hasn't told about itself yet.
		var nodes []struct {
			Plugins []string `json:"enabled_plugins"`
		}
		if err := broker.Management.Do(ctx, http.MethodGet, "/api/nodes", nil, &nodes); err != nil {
			return err
		}
		if len(nodes) != 1 || len(nodes[0].Plugins) == 0 {
			return fmt.Errorf("the broker lists %d nodes and no plugin", len(nodes))
		}
		enabled = slices.DeleteFunc(nodes[0].Plugins, func(name string) bool { return slices.Contains(implied, name) })
		return nil
	})
	return enabled
}

// TestBrokerUsers publishes as each user what it may and what only others may.
func TestBrokerUsers(t *testing.T) {
	t.Parallel()
	vhost := testkit.Rabbit(t).Vhost(t)
	declareExchanges(t, vhost.URL("admin"))
	for name, c := range map[string]struct {
		user, exchange, key, sender string
		refusal                     int // AMQP reply code; 0 where it is taken
	}{
		"sessions: its own type":           {"sessions", topology.EventsExchange, "call.created", "sessions", 0},
		"sessions: a type of the bridge":   {"sessions", topology.EventsExchange, "call.connected", "sessions", amqp.AccessRefused},
		"sessions: a type that nobody has": {"sessions", topology.EventsExchange, "call.created.twice", "sessions", amqp.AccessRefused},
		"sessions: in the bridge's name":   {"sessions", topology.EventsExchange, "call.created", "bridge", amqp.PreconditionFailed},
		"sessions: a command":              {"sessions", topology.CommandsExchange, "token.issue", "sessions", 0},
		"bridge: its own type":             {"bridge", topology.EventsExchange, "call.connected", "bridge", 0},
		"bridge: a type of sessions":       {"bridge", topology.EventsExchange, "call.ended", "bridge", amqp.AccessRefused},
		"bridge: in the name of sessions":  {"bridge", topology.EventsExchange, "call.connected", "sessions", amqp.PreconditionFailed},
		"bridge: a command":                {"bridge", topology.CommandsExchange, "token.issue", "bridge", amqp.AccessRefused},

		"sessions: what was posted to it":       {"sessions", topology.EventsExchange, "action.proposed", "sessions", 0},
		"bridge: a type of orchestrators":       {"bridge", topology.EventsExchange, "action.proposed", "bridge", amqp.AccessRefused},
		"orchestrator: its own type":            {"orchestrator", topology.EventsExchange, "transcript.final", "orchestrator", 0},
		"orchestrator: a type of sessions":      {"orchestrator", topology.EventsExchange, "call.created", "orchestrator", amqp.AccessRefused},
		"orchestrator: a type of the bridge":    {"orchestrator", topology.EventsExchange, "call.connected", "orchestrator", amqp.AccessRefused},
		"orchestrator: a type of billing":       {"orchestrator", topology.EventsExchange, "usage.tick", "orchestrator", amqp.AccessRefused},
		"orchestrator: in the name of sessions": {"orchestrator", topology.EventsExchange, "action.proposed", "sessions", amqp.PreconditionFailed},
		"orchestrator: a command":               {"orchestrator", topology.CommandsExchange, "token.issue", "orchestrator", amqp.AccessRefused},
		"orchestrator: to the queue of another": {"orchestrator", "", topology.PartitionQueue(topology.SessionsEvents, 0), "orchestrator", amqp.AccessRefused},
		"orchestrator: to a dead queue":         {"orchestrator", topology.DeadExchange, topology.DeadQueue(topology.SessionsEvents), "orchestrator", amqp.AccessRefused},
		"billing: its own type":                 {"billing", topology.EventsExchange, "billing.usage.recorded", "billing", 0},
		"billing: a type of orchestrators":      {"billing", topology.EventsExchange, "safety.approved", "billing", amqp.AccessRefused},
		"billing: in the orchestrator's name":   {"billing", topology.EventsExchange, "usage.tick", "orchestrator", amqp.PreconditionFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := publish(t, vhost.URL(c.user), c.exchange, c.key, c.sender)
			if c.refusal == 0 {
				require.NoError(t, err)
				return
			}
			var refused *amqp.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, c.refusal, refused.Code, refused.Error())
		})
	}
}

// TestProducersConsume binds queues as another team's program would: its own, to what it may read.
func TestProducersConsume(t *testing.T) {
	t.Parallel()
	vhost := testkit.Rabbit(t).Vhost(t)
	declareExchanges(t, vhost.URL("admin"))
	for name, c := range map[string]struct {
		user, queue, key string
		refused          bool
	}{
		"orchestrator: its own queue":          {"orchestrator", "orchestrator.one", "call.#", false},
		"orchestrator: what it may know":       {"orchestrator", "orchestrator.two", "transcript.final", false},
		"orchestrator: what things cost":       {"orchestrator", "orchestrator.three", "billing.usage.recorded", true},
		"orchestrator: everything":             {"orchestrator", "orchestrator.four", "#", true},
		"orchestrator: the queue of billing":   {"orchestrator", "billing.one", "call.#", true},
		"orchestrator: the queue of a service": {"orchestrator", topology.PartitionQueue(topology.SessionsEvents, 0), "call.#", true},
		"orchestrator: any queue":              {"orchestrator", "events", "call.#", true},
		"billing: its own queue":               {"billing", "billing.two", "usage.#", false},
		"billing: what was said":               {"billing", "billing.three", "transcript.final", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := consume(t, vhost.URL(c.user), c.queue, c.key)
			if !c.refused {
				require.NoError(t, err)
				return
			}
			var refused *amqp.Error
			require.ErrorAs(t, err, &refused)
			require.Equal(t, amqp.AccessRefused, refused.Code, refused.Error())
		})
	}
}

// consume declares a queue, binds it to the events exchange and reads from it.
func consume(t *testing.T, url, queue, key string) error {
	t.Helper()
	conn, err := amqp.Dial(url)
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // Nothing is in hand.
	ch, err := conn.Channel()
	require.NoError(t, err)
	if _, err := ch.QueueDeclare(queue, true, false, false, false, amqp.Table{"x-queue-type": "quorum"}); err != nil {
		return err
	}
	if err := ch.QueueBind(queue, key, topology.EventsExchange, false, nil); err != nil {
		return err
	}
	_, _, err = ch.Get(queue, true)
	return err
}

// publish sends a message and waits for the broker's confirm or refusal.
func publish(t *testing.T, url, exchange, key, sender string) error {
	t.Helper()
	conn, err := amqp.Dial(url)
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // Nothing is in hand.
	ch, err := conn.Channel()
	require.NoError(t, err)
	require.NoError(t, ch.Confirm(false))
	closed := ch.NotifyClose(make(chan *amqp.Error, 1))
	confirmation, err := ch.PublishWithDeferredConfirmWithContext(t.Context(), exchange, key, false, false,
		amqp.Publishing{UserId: sender, Body: []byte("{}")})
	if err != nil {
		return err
	}
	select {
	case refused := <-closed:
		return refused
	case <-confirmation.Done():
		if confirmation.Acked() {
			return nil
		}
		// A channel that is closed settles what was open on it too; the reason is what counts.
		if refused, ok := <-closed; ok {
			return refused
		}
		return errors.New("not confirmed")
	}
}

func declareExchanges(t *testing.T, url string) {
	t.Helper()
	conn, err := amqp.Dial(url)
	require.NoError(t, err)
	defer conn.Close() //nolint:errcheck // Nothing is in hand.
	ch, err := conn.Channel()
	require.NoError(t, err)
	for _, e := range topology.Shared(topology.DefaultPartitions).Exchanges {
		if e.Name == topology.EventsExchange || e.Name == topology.CommandsExchange || e.Name == topology.DeadExchange {
			require.NoError(t, ch.ExchangeDeclare(e.Name, e.Kind, true, false, e.Internal, false, e.Args))
		}
	}
}

// TestDatabaseRoles tries what a service's role may not do in its own database, and anything in the other's.
func TestDatabaseRoles(t *testing.T) {
	t.Parallel()
	const denied = "42501" // insufficient_privilege
	postgres := testkit.Postgres(t)
	for i, service := range stack.Services {
		app, owner := postgres.Database(t, service, nil)
		execute(t, owner, "CREATE TABLE kept (id int PRIMARY KEY)")
		execute(t, app, "INSERT INTO kept VALUES (1)")
		execute(t, app, "UPDATE kept SET id = 2")
		execute(t, app, "DELETE FROM kept WHERE id = 1")
		for _, ddl := range []string{
			"CREATE TABLE mine (id int)", "ALTER TABLE kept ADD COLUMN more int", "DROP TABLE kept", "TRUNCATE kept", "CREATE INDEX ON kept (id)",
			"CREATE SCHEMA mine", "CREATE TEMPORARY TABLE mine (id int)", "CREATE ROLE mine", "CREATE DATABASE mine",
		} {
			require.Equal(t, denied, refusalOf(t, app, ddl), "%s: %s", service, ddl)
		}
		other := stack.Services[1-i]
		theirs, _ := postgres.Database(t, other, nil)
		config, err := pgx.ParseConfig(theirs)
		require.NoError(t, err)
		mine, err := pgx.ParseConfig(app)
		require.NoError(t, err)
		config.User, config.Password = mine.User, mine.Password
		_, err = pgx.ConnectConfig(t.Context(), config)
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused, "%s got into the database of %s", service, other)
		require.Equal(t, denied, refused.Code)
	}
}

func execute(t *testing.T, url, sql string) {
	t.Helper()
	require.Empty(t, refusalOf(t, url, sql), sql)
}

// refusalOf runs a statement and gives the SQLSTATE with which it was refused, empty where it wasn't.
func refusalOf(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	_, err = conn.Exec(t.Context(), sql)
	if err == nil {
		return ""
	}
	var refused *pgconn.PgError
	require.ErrorAs(t, err, &refused)
	return refused.Code
}
