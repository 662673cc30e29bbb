package topology

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// Bounds of the number of partitions. The number is fixed by the first declaration on a broker.
const (
	MinPartitions     = 1
	MaxPartitions     = 256
	DefaultPartitions = 8
)

// deliveryLimit is how often the broker delivers an event again before it gives it to the dead exchange. Consumers never requeue, so
// only crashing ones reach it.
const deliveryLimit = 100

// commandKeys are the names of the commands that are led to CommandsQueue.
var commandKeys = []string{"call.presence", "token.issue"}

// CheckPartitions returns an error that says what to do if n can't be a number of partitions.
func CheckPartitions(n int) error {
	if n < MinPartitions || n > MaxPartitions {
		return fmt.Errorf("%d partitions: give a number from %d to %d", n, MinPartitions, MaxPartitions)
	}
	return nil
}

// Shared returns everything that both services declare: all exchanges, the partition queues and the dead queues. It panics where
// CheckPartitions refuses the number of partitions, which is to be checked with the other settings.
func Shared(partitions int) Topology {
	if err := CheckPartitions(partitions); err != nil {
		panic("topology.Shared: " + err.Error())
	}
	t := Topology{Exchanges: []Exchange{
		// First, because it is the one that tells a service with another number of partitions that it must not go on.
		{Name: PartitionsExchange, Kind: KindDirect, Internal: true, Args: map[string]any{
			"alternate-exchange": PartitionsExchange + "." + strconv.Itoa(partitions),
		}},
		{Name: DeadExchange, Kind: KindDirect},
		{Name: RequeueExchange, Kind: KindDirect},
		{Name: EventsExchange, Kind: KindTopic},
		commandsExchange(),
	}}
	for _, exchange := range []string{SessionsEvents, BridgeEvents} {
		t.addConsumer(exchange, partitions)
	}
	return t
}

// Commands returns what only the bridge declares: the queue of commands and its bindings. Its existence is the sign that a bridge is
// there, so that a mandatory request tells its sender at once that none is.
func Commands() Topology {
	t := Topology{
		Exchanges: []Exchange{commandsExchange()},
		// Requests live for seconds and are answered or expired; a replicated queue would only add to the time they take.
		Queues: []Queue{{Name: CommandsQueue, AutoDelete: true, Args: map[string]any{"x-queue-type": "classic"}}},
	}
	for _, key := range commandKeys {
		t.Bindings = append(t.Bindings, Binding{Source: CommandsExchange, Destination: CommandsQueue, Key: key})
	}
	return t
}

// Hints returns what only sessions declares: the exchange between its replicas. Each has a queue of its own there (HintsQueue), which is
// exclusive and goes with the connection.
func Hints() Topology {
	return Topology{Exchanges: []Exchange{{Name: HintsExchange, Kind: KindFanout}}}
}

// HintsQueue returns the name of the queue of the connection that has this unique id.
func HintsQueue(id string) string { return HintsExchange + "." + id }

// CommandKeys returns the names of all commands, the routing keys of CommandsExchange.
func CommandKeys() []string { return slices.Clone(commandKeys) }

// PartitionQueue returns the name of the queue of partition n, counted from 0, behind a consistent-hash exchange.
func PartitionQueue(exchange string, n int) string { return exchange + "." + strconv.Itoa(n) }

// DeadQueue returns the name of the queue, and its routing key on DeadExchange, for what the consumer of exchange could not accept.
func DeadQueue(exchange string) string { return exchange + ".dead" }

// Merge returns the objects of all given topologies, each once, in the order given.
func Merge(topologies ...Topology) Topology {
	var all Topology
	for _, t := range topologies {
		for _, e := range t.Exchanges {
			if !slices.ContainsFunc(all.Exchanges, func(x Exchange) bool { return x.Name == e.Name }) {
				all.Exchanges = append(all.Exchanges, e)
			}
		}
		for _, q := range t.Queues {
			if !slices.ContainsFunc(all.Queues, func(x Queue) bool { return x.Name == q.Name }) {
				all.Queues = append(all.Queues, q)
			}
		}
		for _, b := range t.Bindings {
			if !slices.ContainsFunc(all.Bindings, b.equal) {
				all.Bindings = append(all.Bindings, b)
			}
		}
	}
	return all
}

func (b Binding) equal(x Binding) bool {
	return b.Source == x.Source && b.Destination == x.Destination && b.ToExchange == x.ToExchange && b.Key == x.Key &&
		maps.EqualFunc(b.Args, x.Args, func(l, r any) bool { return l == r })
}

func commandsExchange() Exchange { return Exchange{Name: CommandsExchange, Kind: KindDirect} }

// addConsumer adds a consistent-hash exchange behind EventsExchange with its partitions and its dead queue.
func (t *Topology) addConsumer(exchange string, partitions int) {
	t.Exchanges = append(t.Exchanges, Exchange{
		Name: exchange, Kind: KindConsistentHash,
		// What may be sent is decided by the topic permissions of EventsExchange; nobody gets around them by sending here.
		Internal: true,
		Args:     map[string]any{"hash-header": HeaderSessionID},
	})
	dead := DeadQueue(exchange)
	t.Queues = append(t.Queues, Queue{Name: dead, Args: map[string]any{
		"x-queue-type": "quorum",
		// Looking through a dead queue delivers its messages again and again; none may be lost by that.
		"x-delivery-limit": int64(-1),
	}})
	t.Bindings = append(t.Bindings, Binding{Source: DeadExchange, Destination: dead, Key: dead})
	for n := range partitions {
		queue := PartitionQueue(exchange, n)
		t.Queues = append(t.Queues, Queue{Name: queue, Args: partitionArgs(dead)})
		// On the consistent-hash exchange the key is the weight: the same for all.
		t.Bindings = append(t.Bindings,
			Binding{Source: exchange, Destination: queue, Key: "1"},
			Binding{Source: RequeueExchange, Destination: queue, Key: queue})
	}
	// Last, so that nothing flows before every partition is there.
	t.Bindings = append(t.Bindings, Binding{Source: EventsExchange, Destination: exchange, ToExchange: true, Key: "#"})
}

func partitionArgs(deadKey string) map[string]any {
	return map[string]any{
		"x-queue-type":              "quorum",
		"x-single-active-consumer":  true,
		"x-delivery-limit":          int64(deliveryLimit),
		"x-dead-letter-exchange":    DeadExchange,
		"x-dead-letter-routing-key": deadKey,
		"x-dead-letter-strategy":    "at-least-once",
		"x-overflow":                "reject-publish",
	}
}
