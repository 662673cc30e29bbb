package app

import (
	"context"
	"errors"
	"time"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// Bounds of a token's life.
const (
	MinTTL = 30 * time.Second
	MaxTTL = time.Hour
)

// IssueToken gives a member a token for the session's room. Whose identity it is gets stored before
// the token leaves, so that whoever joins with it is known.
type IssueToken struct {
	Mappings ports.Mappings
	Tokens   ports.Tokens
	Tally    ports.Tally
	Nudges   ports.Nudges
}

// Do answers a token command. A refusal is an error of type *commands.Failure, and so is everything
// that goes wrong; the cause of an internal one is wrapped for the log.
func (i IssueToken) Do(ctx context.Context, c commands.TokenIssue) (commands.TokenIssued, error) {
	issued, err := i.issue(ctx, c)
	if err == nil {
		i.Tally.Token("issued")
		return issued, nil
	}
	failure := refusal(err)
	i.Tally.Token(string(failure.Code))
	return commands.TokenIssued{}, errors.Join(&failure, err)
}

func (i IssueToken) issue(ctx context.Context, c commands.TokenIssue) (commands.TokenIssued, error) {
	ttl := time.Duration(c.TTLSeconds) * time.Second
	if ttl < MinTTL || ttl > MaxTTL {
		return commands.TokenIssued{}, errTTL
	}
	ask := domain.GrantRequest{UserID: c.UserID, Role: c.Role, SessionVersion: c.SessionVersion}
	if c.DeviceID != nil {
		ask.DeviceID = *c.DeviceID
	}
	var given domain.Grant
	var room string
	var change ports.Change
	err := i.Mappings.ChangeSession(ctx, c.SessionID, func(m domain.Mapping) (ports.Change, error) {
		admitted, g, err := m.Admit(ask)
		given, room = g, m.RoomName()
		change = ports.Change{Mapping: admitted, Permissions: admitted.PermissionChanges(m), Admits: g.Identity}
		return change, err
	})
	if err != nil {
		return commands.TokenIssued{}, err
	}
	announce(i.Tally, i.Nudges, change)
	grant := ports.TokenGrant{RoomName: room, Grant: given, TTL: ttl}
	if c.DisplayName != nil {
		grant.DisplayName = *c.DisplayName
	}
	token, url, expiresAt, err := i.Tokens.Issue(grant)
	if err != nil {
		return commands.TokenIssued{}, err
	}
	return commands.TokenIssued{
		Provider: events.ProviderLiveKit, URL: url, Token: token, RoomName: room,
		Identity: given.Identity, ExpiresAt: events.At(expiresAt),
	}, nil
}

var errTTL = errors.New("the token's life is out of bounds")

// refusals is what the reasons to refuse a token are called in the reply.
var refusals = []struct {
	err     error
	failure commands.Failure
}{
	{domain.ErrSessionFinal, commands.Failure{Code: commands.SessionFinal, Message: "the session has ended"}},
	{domain.ErrDeviceLimit, commands.Failure{Code: commands.DeviceLimit, Message: "the member has used all their devices in this session"}},
	{domain.ErrNotAMember, commands.Failure{Code: commands.StaleCommand, Message: "the member was removed meanwhile", Retryable: true}},
	{domain.ErrInvalidIdentity, commands.Failure{Code: commands.InvalidCommand, Message: "user and device make no identity"}},
	{errTTL, commands.Failure{Code: commands.InvalidCommand, Message: "ttlSeconds must be from 30 to 3600"}},
	{ports.ErrBeingRemoved, commands.Failure{Code: commands.Unavailable, Message: "the member's earlier removal is under way", Retryable: true}},
	{ports.ErrUnavailable, commands.Failure{Code: commands.Unavailable, Message: "the bridge's database is away", Retryable: true}},
	{context.DeadlineExceeded, commands.Failure{Code: commands.Unavailable, Message: "the command's time was over", Retryable: true}},
	{context.Canceled, commands.Failure{Code: commands.Unavailable, Message: "the bridge is stopping", Retryable: true}},
}

func refusal(err error) commands.Failure {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return r.failure
		}
	}
	return commands.Failure{Code: commands.Internal, Message: "the bridge failed to issue the token"}
}
