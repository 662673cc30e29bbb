package rabbitmq

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/callplane/callplane/contracts/topology"
)

// Headers of a parked message, beside its own.
const (
	HeaderReason             = "x-reason"
	HeaderDetail             = "x-detail"
	HeaderParkedAt           = "x-parked-at" // RFC 3339
	HeaderOriginalExchange   = "x-original-exchange"
	HeaderOriginalRoutingKey = "x-original-routing-key"
	HeaderOriginalUserID     = "x-original-user-id"
	HeaderOriginalQueue      = "x-original-queue" // the partition's queue that it came through
	HeaderRequeues           = "x-requeues"       // how often it was put back before; none: never
)

// Bounds of what a parked message carries: all headers must fit into one frame of 128 KiB, or the broker closes the connection.
const (
	maxDetail  = 1 << 10
	maxHeaders = 32 << 10
)

// deadMessage is d as it is parked: body and headers as they came, and why. Its user-id can only be that of the connection that parks it,
// so the sender's is kept in a header.
func deadMessage(exchange string, d Delivery, r *Rejected, now time.Time) Message {
	about := map[string]string{
		HeaderReason:             clip(r.Reason),
		HeaderDetail:             clip(r.Detail),
		HeaderParkedAt:           now.UTC().Format(time.RFC3339Nano),
		HeaderOriginalExchange:   d.Exchange,
		HeaderOriginalRoutingKey: d.RoutingKey,
		HeaderOriginalUserID:     d.UserID,
		HeaderOriginalQueue:      topology.PartitionQueue(exchange, d.Partition),
	}
	if d.Requeues > 0 {
		about[HeaderRequeues] = strconv.Itoa(d.Requeues)
	}
	return Message{
		Exchange: topology.DeadExchange, Key: topology.DeadQueue(exchange), ID: d.MessageID, Body: d.Body,
		Timestamp: d.Timestamp, ContentType: d.ContentType,
		Headers: withHeaders(boundedHeaders(sentHeaders(d.Headers)), about),
	}
}

// sentHeaders leaves out what parking and the broker add to a message on its way; a sender who sets one of these is not believed.
func sentHeaders(h map[string]string) map[string]string {
	sent := maps.Clone(h)
	maps.DeleteFunc(sent, func(name, _ string) bool {
		switch name {
		case HeaderReason, HeaderDetail, HeaderParkedAt, HeaderRequeues,
			HeaderOriginalExchange, HeaderOriginalRoutingKey, HeaderOriginalUserID, HeaderOriginalQueue,
			"x-delivery-count", "x-acquired-count":
			return true
		}
		return strings.HasPrefix(name, "x-first-death-") || strings.HasPrefix(name, "x-last-death-")
	})
	return sent
}

// boundedHeaders leaves the longest headers out where there is too much of them.
func boundedHeaders(h map[string]string) map[string]string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := len(h[a]) - len(h[b]); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	kept, size := make(map[string]string, len(h)), 0
	for _, name := range names {
		if size += len(name) + len(h[name]); size > maxHeaders {
			break
		}
		kept[name] = h[name]
	}
	return kept
}

// clip bounds a text without leaving half a character.
func clip(s string) string {
	if len(s) > maxDetail {
		s = s[:maxDetail]
	}
	return strings.ToValidUTF8(s, "")
}
