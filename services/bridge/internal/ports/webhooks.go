package ports

import "github.com/callplane/callplane/services/bridge/internal/domain"

// Webhook is what a provider's request says, with only what is needed of it.
type Webhook struct {
	ID       string
	Kind     string      // one of a closed list; "unknown" for what is not on it
	RoomName string      // "" where it is about no room
	Fact     domain.Fact // nil where the kind means nothing to a call
}

// WebhookReader reads the provider's requests.
type WebhookReader interface {
	// Read checks the signature of a body and reads it. Errors: ErrUnauthentic where the signature is
	// missing, made with a key that isn't ours, expired, or of another body; ErrMalformed where the
	// signature holds and the body can't be read. Neither quotes the body.
	Read(body []byte, authorization string) (Webhook, error)
}
