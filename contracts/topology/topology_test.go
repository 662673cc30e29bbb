package topology_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
)

func TestSharedLeadsEveryEventToAQueueOfEachService(t *testing.T) {
	const partitions = 8
	shared := topology.Shared(partitions)
	for _, exchange := range []string{topology.SessionsEvents, topology.BridgeEvents} {
		assert.Contains(t, shared.Bindings, topology.Binding{
			Source: topology.EventsExchange, Destination: exchange, ToExchange: true, Key: "#",
		})
		for n := range partitions {
			queue := find(t, shared, topology.PartitionQueue(exchange, n))
			assert.Equal(t, map[string]any{
				"x-queue-type": "quorum", "x-single-active-consumer": true, "x-delivery-limit": int64(100),
				"x-dead-letter-exchange": "call.dead", "x-dead-letter-routing-key": exchange + ".dead",
				"x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish",
			}, queue.Args)
			assert.Contains(t, shared.Bindings, topology.Binding{Source: exchange, Destination: queue.Name, Key: "1"})
			assert.Contains(t, shared.Bindings, topology.Binding{Source: topology.RequeueExchange, Destination: queue.Name, Key: queue.Name})
		}
		dead := find(t, shared, topology.DeadQueue(exchange))
		assert.Contains(t, shared.Bindings, topology.Binding{Source: topology.DeadExchange, Destination: dead.Name, Key: dead.Name})
	}
	assert.Len(t, shared.Queues, 2*(partitions+1))
}

func TestBindingsNameOnlyWhatIsDeclared(t *testing.T) {
	all := topology.Merge(topology.Shared(3), topology.Commands())
	exchanges := map[string]bool{}
	for _, e := range all.Exchanges {
		assert.False(t, exchanges[e.Name], "%s is declared twice", e.Name)
		exchanges[e.Name] = true
	}
	for _, b := range all.Bindings {
		assert.True(t, exchanges[b.Source], b.Source)
		if b.ToExchange {
			assert.True(t, exchanges[b.Destination], b.Destination)
		} else {
			find(t, all, b.Destination)
		}
	}
}

func TestTheNumberOfPartitionsIsWhatTheBrokerCompares(t *testing.T) {
	eight, nine := topology.Shared(8).Exchanges[0], topology.Shared(9).Exchanges[0]
	assert.Equal(t, topology.PartitionsExchange, eight.Name, "it must come first, so that nothing else is declared on a mismatch")
	assert.Equal(t, eight.Name, nine.Name)
	assert.NotEqual(t, eight.Args, nine.Args)
}

func TestPartitionsAreBounded(t *testing.T) {
	for _, n := range []int{topology.MinPartitions, topology.DefaultPartitions, topology.MaxPartitions} {
		require.NoError(t, topology.CheckPartitions(n))
	}
	for _, n := range []int{-1, 0, topology.MaxPartitions + 1} {
		require.ErrorContains(t, topology.CheckPartitions(n), "from 1 to 256")
		assert.Panics(t, func() { topology.Shared(n) })
	}
}

func TestCommandsExistOnlyWhileTheyAreServed(t *testing.T) {
	queue := find(t, topology.Commands(), topology.CommandsQueue)
	assert.True(t, queue.AutoDelete)
	assert.Equal(t, "classic", queue.Args["x-queue-type"])
	for _, q := range topology.Shared(1).Queues {
		assert.NotEqual(t, topology.CommandsQueue, q.Name, "only who serves commands declares their queue")
	}
	for _, key := range topology.CommandKeys() {
		assert.Contains(t, topology.Commands().Bindings, topology.Binding{
			Source: topology.CommandsExchange, Destination: topology.CommandsQueue, Key: key,
		})
	}
}

func TestMergeKeepsEachObjectOnce(t *testing.T) {
	shared := topology.Shared(2)
	assert.Equal(t, shared, topology.Merge(shared, shared))
}

// The permissions that the broker is set up with let both services declare everything that they do declare, and nothing be sent past the
// topic permissions of the events' exchange.
func TestPermissionsFitTheTopology(t *testing.T) {
	var definitions struct {
		Permissions []struct{ User, Configure, Write, Read string }
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "deployments", "rabbitmq", "definitions.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &definitions))
	queue := topology.HintsQueue("019ab1c2-5e00-7a10-8c3d-2f4b6a8c0e11")
	hintsQueue := topology.Topology{
		Queues: []topology.Queue{{Name: queue}}, Bindings: []topology.Binding{{Source: topology.HintsExchange, Destination: queue}},
	}
	declared := map[string]topology.Topology{
		topology.UserSessions: topology.Merge(topology.Shared(12), topology.Hints(), hintsQueue),
		topology.UserBridge:   topology.Merge(topology.Shared(12), topology.Commands()),
	}
	checked := 0
	for _, p := range definitions.Permissions {
		all, ours := declared[p.User]
		if !ours {
			continue
		}
		checked++
		configure, write, read := regexp.MustCompile(p.Configure), regexp.MustCompile(p.Write), regexp.MustCompile(p.Read)
		for _, e := range all.Exchanges {
			assert.Regexp(t, configure, e.Name, p.User)
			if alternate, ok := e.Args["alternate-exchange"].(string); ok {
				assert.Regexp(t, write, alternate, p.User)
			}
		}
		for _, q := range all.Queues {
			assert.Regexp(t, configure, q.Name, p.User)
		}
		assert.Regexp(t, configure, topology.RingExchange, p.User)
		for _, b := range all.Bindings {
			assert.Regexp(t, read, b.Source, p.User)
			assert.Regexp(t, write, b.Destination, p.User)
		}
		assert.Equal(t, p.User == topology.UserSessions, write.MatchString(topology.CommandsExchange), "only sessions gives commands")
		assert.Equal(t, p.User == topology.UserSessions, write.MatchString(topology.HintsExchange), "only sessions gives hints")
	}
	assert.Equal(t, len(declared), checked)
	for _, e := range topology.Shared(1).Exchanges {
		if e.Kind == topology.KindConsistentHash {
			assert.True(t, e.Internal, e.Name)
		}
	}
}

// The broker lets each user send exactly the types that consumers take from it.
func TestTopicPermissionsFitTheCatalogue(t *testing.T) {
	var definitions struct {
		TopicPermissions []struct{ User, Exchange, Write string } `json:"topic_permissions"`
	}
	text, err := os.ReadFile(filepath.Join("..", "..", "deployments", "rabbitmq", "definitions.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &definitions))
	var users []string
	for _, p := range definitions.TopicPermissions {
		require.Equal(t, topology.EventsExchange, p.Exchange)
		users = append(users, p.User)
		write := regexp.MustCompile(p.Write)
		for _, kind := range events.Types() {
			assert.Equal(t, events.MaySend(p.User, kind), write.MatchString(string(kind)), "%s sends %s", p.User, kind)
			for _, other := range []string{string(kind) + ".more", "more." + string(kind), strings.ReplaceAll(string(kind), ".", "x")} {
				assert.False(t, write.MatchString(other), "%s sends %s", p.User, other)
			}
		}
	}
	assert.ElementsMatch(t, []string{"sessions", "bridge", "orchestrator", "billing"}, users)
}

func find(t *testing.T, all topology.Topology, name string) topology.Queue {
	t.Helper()
	i := slices.IndexFunc(all.Queues, func(q topology.Queue) bool { return q.Name == name })
	require.GreaterOrEqual(t, i, 0, "no queue %s", name)
	return all.Queues[i]
}
