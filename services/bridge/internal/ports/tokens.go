package ports

import (
	"time"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// TokenGrant is what a token shall allow: one seat in one room, for some time.
type TokenGrant struct {
	RoomName    string
	Grant       domain.Grant
	DisplayName string // "" where none was given
	TTL         time.Duration
}

// Tokens makes tokens without asking the provider.
type Tokens interface {
	// Issue returns a token, the URL that clients connect to with it, and when it expires.
	Issue(grant TokenGrant) (commands.JoinToken, string, time.Time, error)
}
