package ports

import (
	"context"
	"errors"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// ErrBeingRemoved says that the participant is being put out of the room because of an earlier
// removal; a moment later they can be let in.
var ErrBeingRemoved = errors.New("an earlier removal is under way")

// PermissionSync is what the provider is to hold a participant to. Generation tells it from a later
// one of the same participant, Claim tells who works on it.
type PermissionSync struct {
	SessionID  string
	Desired    domain.DesiredPermission
	Generation int64
	Claim      int64
	Attempts   int // that failed so far
}

// PermissionSyncs is the list of what the provider is to hold participants to. It survives crashes,
// and any number of replicas may work on it. A participant has the newest entry only, and while one
// replica works on one no other gets another of the same participant, so that the provider gets
// them in order.
type PermissionSyncs interface {
	// ClaimPermissionSyncs takes up to limit whose time has come; no other call gets them until
	// lease has passed.
	ClaimPermissionSyncs(ctx context.Context, limit int, lease time.Duration) ([]PermissionSync, error)

	// SettlePermissionSync takes one off the list; a newer one of the participant can be claimed
	// from then on.
	SettlePermissionSync(ctx context.Context, e PermissionSync) error

	// PostponePermissionSync has one come up again after the given time, and counts the attempt; a
	// newer one of the participant can be claimed at once.
	PostponePermissionSync(ctx context.Context, e PermissionSync, after time.Duration) error

	// NextPermissionSync returns how long it is until the next one can be claimed, and false where
	// there is none.
	NextPermissionSync(ctx context.Context) (time.Duration, bool, error)
}

// MediaParticipants are the participants in the rooms at the provider. Errors: ErrNotFound where
// the provider says that there is no such participant; any other one wraps ErrUnavailable: try
// again.
type MediaParticipants interface {
	// Remove puts a participant out of a room.
	Remove(ctx context.Context, roomName, identity string) error

	// SetRole gives a participant the rights of a role, at once and without a new token.
	SetRole(ctx context.Context, roomName string, desired domain.DesiredPermission) error

	// Ask asks for a participant by a call that changes nothing, and that the node of the room
	// answers. Not found and no response are answers, other errors wrap ErrUnavailable and are
	// none.
	Ask(ctx context.Context, roomName, identity string) (domain.Answer, error)
}
