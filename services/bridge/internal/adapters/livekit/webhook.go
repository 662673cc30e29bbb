// Package livekit speaks to LiveKit by LiveKit's own SDK: it reads its webhooks, makes its tokens,
// lists, changes and deletes what is in its rooms, and observes whether LiveKit answers.
package livekit

import (
	"bytes"
	"fmt"
	"io"
	"net/http"

	"github.com/livekit/protocol/auth"
	lkproto "github.com/livekit/protocol/livekit"
	"github.com/livekit/protocol/utils/protojson"
	"github.com/livekit/protocol/webhook"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// UnknownKind is what a webhook of a kind that this build has never heard of is counted as.
const UnknownKind = "unknown"

const (
	maxWebhookID = 128
	maxRoomName  = 256
)

// kinds is every kind of webhook (https://docs.livekit.io/home/server/webhooks/) and the fact that
// it tells; nil for those that say nothing about who is in a call.
var kinds = map[string]func(*lkproto.WebhookEvent) domain.Fact{
	webhook.EventRoomStarted:                  roomStarted,
	webhook.EventRoomFinished:                 roomFinished,
	webhook.EventParticipantJoined:            participantJoined,
	webhook.EventParticipantLeft:              participantLeft,
	webhook.EventTrackPublished:               trackPublished,
	webhook.EventTrackUnpublished:             trackUnpublished,
	webhook.EventParticipantConnectionAborted: connectionAborted,
	webhook.EventEgressStarted:                nil,
	webhook.EventEgressUpdated:                nil,
	webhook.EventEgressEnded:                  nil,
	webhook.EventIngressStarted:               nil,
	webhook.EventIngressEnded:                 nil,
}

// WebhookReader reads webhooks that were signed with any of its keys.
type WebhookReader struct{ keys auth.KeyProvider }

var _ ports.WebhookReader = (*WebhookReader)(nil)

// NewWebhookReader returns a reader that trusts the given API keys, each with its secret.
func NewWebhookReader(keys map[string]config.Secret) *WebhookReader {
	secrets := make(map[string]string, len(keys))
	for key, secret := range keys {
		secrets[key] = secret.Reveal()
	}
	return &WebhookReader{keys: auth.NewFileBasedKeyProviderFromMap(secrets)}
}

// Read implements ports.WebhookReader. The signature is LiveKit's: a JWT in Authorization, without
// "Bearer", whose claim sha256 is the body's hash.
func (r *WebhookReader) Read(body []byte, authorization string) (ports.Webhook, error) {
	request := &http.Request{Header: http.Header{"Authorization": {authorization}}, Body: io.NopCloser(bytes.NewReader(body))}
	if _, err := webhook.Receive(request, r.keys); err != nil {
		return ports.Webhook{}, fmt.Errorf("%w: %s", ports.ErrUnauthentic, err.Error())
	}
	var event lkproto.WebhookEvent
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true, AllowPartial: true}).Unmarshal(body, &event); err != nil {
		return ports.Webhook{}, fmt.Errorf("%w: the body is not a webhook's JSON", ports.ErrMalformed) // The error quotes the body.
	}
	if event.GetId() == "" || len(event.GetId()) > maxWebhookID || events.Bounded(event.GetId(), maxWebhookID) != event.GetId() {
		return ports.Webhook{}, fmt.Errorf("%w: the id is missing or too long", ports.ErrMalformed)
	}
	w := ports.Webhook{ID: event.GetId(), Kind: UnknownKind, RoomName: events.Bounded(roomName(&event), maxRoomName)}
	if fact, known := kinds[event.GetEvent()]; known {
		w.Kind = event.GetEvent()
		if fact != nil {
			w.Fact = fact(&event)
		}
	}
	return w, nil
}

func roomName(event *lkproto.WebhookEvent) string {
	switch {
	case event.GetRoom() != nil:
		return event.GetRoom().GetName()
	case event.GetEgressInfo() != nil:
		return event.GetEgressInfo().GetRoomName()
	default:
		return event.GetIngressInfo().GetRoomName()
	}
}
