// Package ports says what the use cases need from outside, in the bridge's own words, with the
// errors beside them.
package ports

import (
	"context"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// Change is what one use case wants stored, all of it or nothing.
type Change struct {
	Mapping    domain.Mapping
	Events     []events.Sealed // to be published in this order, after all earlier ones of the session
	DeleteRoom bool            // have the room deleted at the provider, again if it was already

	// Noticed says that the deletion and the permissions only don't hold yet: what is on the list
	// already keeps its time and its attempts. New evidence and decisions start them anew.
	Noticed bool

	// Permissions are what the provider is to hold participants to, in place of earlier ones of the
	// same.
	Permissions []domain.DesiredPermission
	// Admits is the identity that is about to be given a token, or "". The change fails with
	// ErrBeingRemoved while a removal of it is under way: that could put out whoever comes with the
	// new token.
	Admits string
	// Claim is that of a RoomCheck under which this was decided, or 0. The change fails with
	// ErrClaimLost where it is lost.
	Claim int64
}

// Decide looks at a mapping and says what is to be stored. It may be called again where the store
// has to start over, so it must not do anything else. An error stores nothing and comes back as it
// is.
type Decide func(m domain.Mapping) (Change, error)

// Receipt is the record of a webhook, kept so that the same one has no second effect. It holds
// nothing of the body but what is named here.
type Receipt struct {
	ID         string
	Kind       string
	RoomName   string // "" where the webhook is about no room
	ReceivedAt time.Time
}

// Reception says what became of a webhook at the store.
type Reception string

// The receptions of a webhook.
const (
	Stored      Reception = "stored"       // the receipt and the change are stored
	Repeated    Reception = "repeated"     // its receipt was there already; nothing is stored
	UnknownRoom Reception = "unknown_room" // the receipt is stored; no session has such a room
	Noted       Reception = "noted"        // the receipt is stored; there was nothing to decide
)

// Mappings stores mappings with what follows from their changes. Both methods write in one
// transaction that holds the mapping's row locked, and only what was decided on the mapping as it
// is then; so changes of one mapping come one after the other and its events are published in the
// order of the changes. They are safe for concurrent use.
//
// An error that neither Decide nor the caller's context gave wraps ErrUnavailable where trying
// again later may help; nothing is stored then.
type Mappings interface {
	// ChangeSession has decide change the mapping of a session; it gets a new one where the session
	// is not known yet.
	ChangeSession(ctx context.Context, sessionID string, decide Decide) error

	// Receive stores the receipt of a webhook, once, and has decide change the mapping of the room
	// that it names. What decide says counts for nothing, its error included, where the receipt was
	// stored before or no session has such a room; where decide is nil only the receipt is stored.
	Receive(ctx context.Context, receipt Receipt, decide Decide) (Reception, error)
}
