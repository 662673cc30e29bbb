package amqp

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/rabbitmq"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// Caller sends a request and waits for its reply; *rabbitmq.RPCClient is one.
type Caller interface {
	Call(ctx context.Context, exchange, key string, body []byte, headers map[string]string) ([]byte, error)
}

// Tokens is ports.MediaTokens by command to the provider's side.
type Tokens struct {
	caller Caller
	ids    ports.IDs
}

var _ ports.MediaTokens = (*Tokens)(nil)

// NewTokens returns a client that asks through caller.
func NewTokens(caller Caller, ids ports.IDs) *Tokens { return &Tokens{caller: caller, ids: ids} }

// Issue implements ports.MediaTokens.
func (t *Tokens) Issue(ctx context.Context, request ports.TokenRequest) (ports.Token, error) {
	id, err := t.ids.NewID()
	if err != nil {
		return ports.Token{}, fmt.Errorf("ask for a token: %w", err)
	}
	body, err := commands.EncodeTokenIssue(commands.TokenIssue{
		CommandID: id, SessionID: request.SessionID, SessionVersion: request.SessionVersion, UserID: request.UserID, Role: request.Role,
		DeviceID: request.DeviceID, DisplayName: request.DisplayName, TTLSeconds: int(request.TTL / time.Second), Kind: request.Kind,
		IssuedAt: events.At(request.RequestedAt),
	})
	if err != nil {
		return ports.Token{}, fmt.Errorf("ask for a token: %w", err)
	}
	headers := map[string]string{topology.HeaderSessionID: request.SessionID}
	encoded, err := t.caller.Call(ctx, topology.CommandsExchange, commands.TokenIssueName, body, headers)
	if err != nil {
		return ports.Token{}, callError("ask for a token", err)
	}
	reply, err := commands.DecodeTokenReply(encoded)
	if err != nil {
		return ports.Token{}, fmt.Errorf("read the reply to a token command: %w", err)
	}
	if reply.CommandID != id {
		return ports.Token{}, errors.New("read the reply to a token command: it answers another command")
	}
	issued, err := reply.Value()
	if err != nil {
		return ports.Token{}, refusal(err)
	}
	return ports.Token{
		Provider: issued.Provider, URL: issued.URL, Secret: issued.Token, RoomName: issued.RoomName, Identity: issued.Identity,
		ExpiresAt: issued.ExpiresAt.Time,
	}, nil
}

// callError tells that nobody answered from what is wrong with the question.
func callError(what string, err error) error {
	for _, away := range []error{
		rabbitmq.ErrUnavailable, rabbitmq.ErrUnroutable, rabbitmq.ErrTimeout, rabbitmq.ErrUnconfirmed, rabbitmq.ErrRemote, rabbitmq.ErrNacked,
	} {
		if errors.Is(err, away) {
			return fmt.Errorf("%s: %w: %w", what, ports.ErrProviderUnavailable, err)
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// refusal says what the answer means here.
func refusal(err error) error {
	var failure *commands.Failure
	if !errors.As(err, &failure) {
		return err
	}
	switch {
	case failure.Code == commands.SessionFinal:
		return domain.ErrSessionFinal
	case failure.Code == commands.DeviceLimit:
		return ports.ErrDeviceLimit
	case failure.Code == commands.StaleCommand, failure.Code == commands.Unavailable, failure.Retryable:
		return fmt.Errorf("%w: %w", ports.ErrProviderUnavailable, failure)
	default:
		return failure
	}
}
