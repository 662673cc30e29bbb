package livekit

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/livekit/protocol/auth"
	lkproto "github.com/livekit/protocol/livekit"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/config"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// TokenConfig says how tokens are made.
type TokenConfig struct {
	APIKey           string
	APISecret        config.Secret
	PublicURL        string        // where clients connect
	EmptyTimeout     time.Duration // how long a room stays that nobody has joined
	DepartureTimeout time.Duration // how long a room stays after the last one has left
	Now              func() time.Time
}

// Tokens makes LiveKit access tokens (https://docs.livekit.io/home/get-started/authentication/).
type Tokens struct{ cfg TokenConfig }

var _ ports.Tokens = (*Tokens)(nil)

// NewTokens returns a maker of tokens.
func NewTokens(cfg TokenConfig) *Tokens { return &Tokens{cfg: cfg} }

// metadata is what other participants are told of one: nothing but whose device it is, and as what.
type metadata struct {
	UserID string      `json:"userId"`
	Role   events.Role `json:"role"`
}

// Issue implements ports.Tokens. The room's settings travel in the token, so that the room need not
// be made before a participant joins.
func (t *Tokens) Issue(g ports.TokenGrant) (commands.JoinToken, string, time.Time, error) {
	about, err := about(g.Grant.UserID, g.Grant.Role)
	if err != nil {
		return commands.JoinToken{}, "", time.Time{}, fmt.Errorf("making a token: %w", err)
	}
	expiresAt := t.cfg.Now().Add(g.TTL).Truncate(time.Second)
	token, err := auth.NewAccessToken(t.cfg.APIKey, t.cfg.APISecret.Reveal()).
		SetIdentity(g.Grant.Identity).
		SetName(g.DisplayName).
		SetMetadata(about).
		SetValidFor(g.TTL).
		SetVideoGrant(grant(g.RoomName, g.Grant.Role)).
		SetRoomConfig(&lkproto.RoomConfiguration{
			EmptyTimeout:     seconds(t.cfg.EmptyTimeout),
			DepartureTimeout: seconds(t.cfg.DepartureTimeout),
			MaxParticipants:  domain.MaxParticipants,
		}).
		ToJWT()
	if err != nil {
		return commands.JoinToken{}, "", time.Time{}, fmt.Errorf("making a token: %w", err)
	}
	return commands.NewJoinToken(token), t.cfg.PublicURL, expiresAt, nil
}

func about(userID string, role events.Role) (string, error) {
	text, err := json.Marshal(metadata{UserID: userID, Role: role})
	if err != nil {
		return "", fmt.Errorf("describing a participant: %w", err)
	}
	return string(text), nil
}

// grant lets a role into one room. All is said explicitly, because what is left out is allowed.
func grant(room string, role events.Role) *auth.VideoGrant {
	speaks := role == events.RoleHost || role == events.RoleParticipant
	g := &auth.VideoGrant{RoomJoin: true, Room: room}
	g.SetCanSubscribe(true)
	g.SetCanPublish(speaks)
	g.SetCanPublishData(speaks)
	g.SetCanUpdateOwnMetadata(false)
	g.SetCanSubscribeMetrics(false)
	g.SetCanManageAgentSession(false)
	return g
}

// seconds rounds up, so that a short time doesn't become LiveKit's default.
func seconds(d time.Duration) uint32 {
	return uint32(min((d+time.Second-1)/time.Second, 1<<31)) //nolint:gosec // Bounded.
}
