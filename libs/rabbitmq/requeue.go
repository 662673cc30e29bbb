package rabbitmq

import (
	"fmt"
	"strconv"

	"github.com/callplane/callplane/contracts/topology"
)

// forbiddenProducer is the reason for parking what somebody sent who may not send it.
const forbiddenProducer = "forbidden_producer"

// requeueMessage is a parked message as it is put back into its partition. Its user-id can only be that of who puts it back, so whose it
// is stays in a header, as do its exchange and key.
func requeueMessage(m ParkedMessage) Message {
	return Message{
		Exchange: topology.RequeueExchange, Key: m.Queue, ID: m.messageID, Body: m.Body, Timestamp: m.timestamp, ContentType: m.contentType,
		Headers: withHeaders(boundedHeaders(sentHeaders(m.sent)), map[string]string{
			HeaderOriginalExchange:   m.exchange,
			HeaderOriginalRoutingKey: m.Type,
			HeaderOriginalUserID:     m.Sender,
			HeaderRequeues:           strconv.Itoa(m.Requeues + 1),
		}),
	}
}

// restored returns a message that was put back as it first came. Only the service itself may put one back, which the broker vouches for:
// anybody else could speak in another's name. user is the service's own.
func restored(d Delivery, user string) (Delivery, *Rejected) {
	if d.Exchange != topology.RequeueExchange {
		return d, nil
	}
	if d.UserID != user {
		return d, &Rejected{Reason: forbiddenProducer, Detail: fmt.Sprintf("user %q may not put messages back here", d.UserID)}
	}
	original := d
	original.Exchange = d.Headers[HeaderOriginalExchange]
	original.RoutingKey = d.Headers[HeaderOriginalRoutingKey]
	original.UserID = d.Headers[HeaderOriginalUserID]
	original.Requeues, _ = strconv.Atoi(d.Headers[HeaderRequeues]) // a message without a count was not put back by us and has none
	original.Headers = sentHeaders(d.Headers)
	return original, nil
}
