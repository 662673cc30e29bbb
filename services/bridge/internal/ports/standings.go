package ports

import (
	"context"
	"errors"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// ErrBeingRemoved says that the participant is being put out of the room because of an earlier removal; a
// moment later they can be let in.
var ErrBeingRemoved = errors.New("an earlier removal is under way")

// Enforcement is a participant's standing that the provider is to be told of. Generation tells it from a
// later one of the same participant, Claim tells who works on it.
type Enforcement struct {
	SessionID  string
	Standing   domain.Standing
	Generation int64
	Claim      int64
	Attempts   int // that failed so far
}

// Enforcements is the list of standings that the provider is to be told of. It survives crashes, and any
// number of replicas may work on it. A participant has the newest one only, and while somebody works on
// one nobody gets another of the same participant, so that the provider hears of them in their order.
type Enforcements interface {
	// ClaimEnforcements takes up to limit whose time has come; nobody else gets them until lease has passed.
	ClaimEnforcements(ctx context.Context, limit int, lease time.Duration) ([]Enforcement, error)

	// SettleEnforcement takes one off the list; a newer one of the participant can be claimed from then on.
	SettleEnforcement(ctx context.Context, e Enforcement) error

	// PostponeEnforcement has one come up again after the given time, and counts the attempt; a newer one of
	// the participant can be claimed at once.
	PostponeEnforcement(ctx context.Context, e Enforcement, after time.Duration) error

	// NextEnforcement returns how long it is until the next one can be claimed, and false where there is none.
	NextEnforcement(ctx context.Context) (time.Duration, bool, error)
}

// MediaParticipants are the participants in the rooms at the provider. Somebody who isn't there is no
// error. Any error wraps ErrUnavailable: try again.
type MediaParticipants interface {
	// Remove puts a participant out of a room.
	Remove(ctx context.Context, roomName, identity string) error

	// SetRole gives a participant the rights of the standing's role, at once and without a new token.
	SetRole(ctx context.Context, roomName string, standing domain.Standing) error
}
