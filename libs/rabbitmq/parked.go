package rabbitmq

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/callplane/callplane/contracts/topology"
)

// ParkedMessage is a message of a dead queue: one that a consumer rejected, or that the broker gave up on.
type ParkedMessage struct {
	// ID is the message-id or, without one, made of the body. Messages of the same ID are looked at and put back together.
	ID       string
	Reason   string // the consumer's, or why the broker gave up on it, such as delivery_limit
	Detail   string // empty where the broker parked it
	Type     string // the routing key that it was sent with
	Session  string // the header session-id
	Sender   string // the user who sent it, as the broker checked it
	Queue    string // the partition's queue that it came through; empty where that is not known
	ParkedAt time.Time
	Requeues int            // how often it was put back before
	Headers  map[string]any // all of them, as they are now
	Body     []byte

	messageID, exchange, contentType string
	timestamp                        time.Time
	sent                             map[string]string
}

// newParkedMessage reads a message of the dead queue of exchange. user is the service's own: what a message says of where it came from
// is believed if that user parked it or put it back, otherwise the broker is asked, who keeps the sender and tells the rest in x-death.
func newParkedMessage(d amqp.Delivery, exchange, user string) ParkedMessage {
	own := headers(d.Headers)
	m := ParkedMessage{
		ID: d.MessageId, Session: own[topology.HeaderSessionID], Sender: d.UserId, Body: d.Body, Headers: plainTable(d.Headers),
		messageID: d.MessageId, contentType: d.ContentType, timestamp: d.Timestamp, sent: own,
	}
	if m.ID == "" {
		sum := sha256.Sum256(d.Body)
		m.ID = "sha256-" + hex.EncodeToString(sum[:8])
	}
	if death, ok := lastDeath(d.Headers); ok {
		m.Reason, m.Queue, m.ParkedAt = death.reason, death.queue, death.at
		m.exchange, m.Type = death.exchange, death.key
	}
	if _, said := own[HeaderOriginalUserID]; said && d.UserId == user {
		m.Sender, m.exchange, m.Type = own[HeaderOriginalUserID], own[HeaderOriginalExchange], own[HeaderOriginalRoutingKey]
		m.Requeues, _ = strconv.Atoi(own[HeaderRequeues]) // none: never
		if reason, rejected := own[HeaderReason]; rejected {
			m.Reason, m.Detail, m.Queue = reason, own[HeaderDetail], own[HeaderOriginalQueue]
			m.ParkedAt, _ = time.Parse(time.RFC3339Nano, own[HeaderParkedAt]) // one parked before this was kept has none
		}
	}
	if !isPartition(m.Queue, exchange) {
		m.Queue = ""
	}
	return m
}

// isPartition tells whether queue is one of the partitions of exchange: nothing is put into any other queue.
func isPartition(queue, exchange string) bool {
	n, ours := strings.CutPrefix(queue, exchange+".")
	_, err := strconv.ParseUint(n, 10, 16)
	return ours && err == nil
}

// death is the broker's account of why it dead-lettered a message (https://www.rabbitmq.com/docs/dlx#effects).
type death struct {
	reason, queue, exchange, key string
	at                           time.Time
}

func lastDeath(t amqp.Table) (death, bool) {
	list, _ := t["x-death"].([]any)
	if len(list) == 0 {
		return death{}, false
	}
	entry, ok := list[0].(amqp.Table)
	if !ok {
		return death{}, false
	}
	var d death
	d.reason, _ = entry["reason"].(string)
	d.queue, _ = entry["queue"].(string)
	d.exchange, _ = entry["exchange"].(string)
	d.at, _ = entry["time"].(time.Time)
	if keys, _ := entry["routing-keys"].([]any); len(keys) > 0 {
		d.key, _ = keys[0].(string)
	}
	return d, true
}

// plainTable gives headers a form that JSON has.
func plainTable(t amqp.Table) map[string]any {
	plain := make(map[string]any, len(t))
	for name, value := range t {
		plain[name] = plainValue(value)
	}
	return plain
}

func plainValue(value any) any {
	switch v := value.(type) {
	case amqp.Table:
		return plainTable(v)
	case []any:
		list := make([]any, len(v))
		for i, one := range v {
			list[i] = plainValue(one)
		}
		return list
	case []byte:
		return string(v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fmt.Sprint(v)
		}
	case float32:
		return plainValue(float64(v))
	case amqp.Decimal:
		return fmt.Sprintf("%de-%d", v.Value, v.Scale)
	}
	return value
}
