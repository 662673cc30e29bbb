package amqp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/google/uuid"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/rabbitmq"
	"github.com/callplane/callplane/libs/telemetry"
)

// TokenIssuer answers token commands; its errors are *commands.Failure, with the cause joined to them.
type TokenIssuer interface {
	Do(ctx context.Context, c commands.TokenIssue) (commands.TokenIssued, error)
}

// CommandServer says which queue is served, and whose requests are answered.
func CommandServer() rabbitmq.RPCServerConfig {
	return rabbitmq.RPCServerConfig{
		Queue: topology.CommandsQueue, Topology: topology.Commands(), Users: []string{topology.UserSessions}, MaxBody: commands.MaxSize,
	}
}

// ServeCommands returns the handler of the command queue.
func ServeCommands(issuer TokenIssuer, log *slog.Logger) rabbitmq.RequestHandler {
	return func(ctx context.Context, r rabbitmq.Request) ([]byte, error) {
		if r.Key != commands.TokenIssueName {
			return nil, fmt.Errorf("there is no command %q", r.Key)
		}
		command, err := commands.DecodeTokenIssue(r.Body)
		if err != nil {
			return refuseUnread(r.Body, err)
		}
		ctx = telemetry.WithAttrs(ctx, slog.String("session_id", command.SessionID), slog.String("command_id", command.CommandID))
		issued, err := issuer.Do(ctx, command)
		if err == nil {
			return commands.EncodeTokenReply(commands.Succeed(command.CommandID, issued))
		}
		failure := &commands.Failure{Code: commands.Internal, Message: "the bridge failed to carry the command out"}
		errors.As(err, &failure)
		if failure.Code == commands.Internal || failure.Code == commands.Unavailable {
			log.ErrorContext(ctx, "a token could not be issued", slog.String("code", string(failure.Code)), slog.Any("error", err))
		}
		return commands.EncodeTokenReply(commands.Refuse[commands.TokenIssued](command.CommandID, *failure))
	}
}

// refuseUnread answers a request that breaks its contract, if it can be told which one it was.
func refuseUnread(body []byte, cause error) ([]byte, error) {
	var named struct {
		CommandID string `json:"commandId"`
	}
	if json.Unmarshal(body, &named) != nil || uuid.Validate(named.CommandID) != nil {
		return nil, cause
	}
	reply, err := commands.EncodeTokenReply(commands.Refuse[commands.TokenIssued](named.CommandID,
		commands.Failure{Code: commands.InvalidCommand, Message: cause.Error()}))
	if err != nil {
		return nil, cause
	}
	return reply, nil
}
