package rabbitmq

import (
	"fmt"
	"maps"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const contentTypeJSON = "application/json"

// Message is what is published. It is always persistent, and mandatory: the broker says so where no queue is bound for it.
type Message struct {
	Exchange string
	Key      string            // routing key
	ID       string            // message-id
	UserID   string            // user-id, which the broker compares with the connection's; empty: the connection's own user
	Headers  map[string]string // W3C trace context is among them where the sender put it there
	Body     []byte
	// Timestamp is when the message was made; left out where zero. AMQP keeps seconds.
	Timestamp time.Time
	// ContentType is application/json unless given.
	ContentType string
}

// Delivery is a message as a consumer gets it.
type Delivery struct {
	Exchange    string // where it was published, also if it came through further exchanges
	RoutingKey  string
	MessageID   string
	UserID      string            // verified by the broker; empty where the sender gave none
	AppID       string            //
	ContentType string            //
	Timestamp   time.Time         // zero where the sender gave none
	Headers     map[string]string // those with a string or number; others are left out
	Body        []byte
	Redelivered bool // it was delivered before, to whomever
	Partition   int  // the number of the partition it came through
	Requeues    int  // how often it was parked and put back
}

func (m Message) publishing(user, app string) amqp.Publishing {
	if m.UserID != "" {
		user = m.UserID
	}
	contentType := m.ContentType
	if contentType == "" {
		contentType = contentTypeJSON
	}
	return amqp.Publishing{
		Headers: table(m.Headers), ContentType: contentType, DeliveryMode: amqp.Persistent,
		MessageId: m.ID, Timestamp: m.Timestamp, UserId: user, AppId: app, Body: m.Body,
	}
}

func newDelivery(d amqp.Delivery, partition int) Delivery {
	return Delivery{
		Exchange: d.Exchange, RoutingKey: d.RoutingKey, MessageID: d.MessageId, UserID: d.UserId, AppID: d.AppId,
		ContentType: d.ContentType, Timestamp: d.Timestamp, Headers: headers(d.Headers), Body: d.Body,
		Redelivered: d.Redelivered, Partition: partition,
	}
}

func table(headers map[string]string) amqp.Table {
	t := make(amqp.Table, len(headers))
	for name, value := range headers {
		t[name] = value
	}
	return t
}

// headers keeps what has a plain text form. Lists and tables are the broker's own, such as x-death.
func headers(t amqp.Table) map[string]string {
	h := make(map[string]string, len(t))
	for name, value := range t {
		switch v := value.(type) {
		case string:
			h[name] = v
		case []byte:
			h[name] = string(v)
		case bool:
			h[name] = strconv.FormatBool(v)
		case int8, uint8, int16, uint16, int32, uint32, int64, float32, float64, int:
			h[name] = fmt.Sprint(v)
		}
	}
	return h
}

func withHeaders(base map[string]string, more map[string]string) map[string]string {
	h := make(map[string]string, len(base)+len(more))
	maps.Copy(h, base)
	maps.Copy(h, more)
	return h
}
