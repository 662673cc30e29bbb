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

// PresenceShower answers presence commands; its errors are likewise.
type PresenceShower interface {
	Do(ctx context.Context, c commands.CallPresence) (commands.CallPresenceShown, error)
}

// Commands are the use cases behind the commands.
type Commands struct {
	Token    TokenIssuer
	Presence PresenceShower
}

// CommandServer says which queue is served, and whose requests are answered.
func CommandServer() rabbitmq.RPCServerConfig {
	return rabbitmq.RPCServerConfig{
		Queue: topology.CommandsQueue, Topology: topology.Commands(), Users: []string{topology.UserSessions}, MaxBody: commands.MaxSize,
	}
}

// ServeCommands returns the handler of the command queue.
func ServeCommands(c Commands, log *slog.Logger) rabbitmq.RequestHandler {
	handlers := map[string]rabbitmq.RequestHandler{
		commands.TokenIssueName: serve(contract[commands.TokenIssue, commands.TokenIssued]{
			decode: commands.DecodeTokenIssue, encode: commands.EncodeTokenReply, do: c.Token.Do,
			ids: func(c commands.TokenIssue) (string, string) { return c.CommandID, c.SessionID },
		}, log),
		commands.CallPresenceName: serve(contract[commands.CallPresence, commands.CallPresenceShown]{
			decode: commands.DecodeCallPresence, encode: commands.EncodePresenceReply, do: c.Presence.Do,
			ids: func(c commands.CallPresence) (string, string) { return c.CommandID, c.SessionID },
		}, log),
	}
	return func(ctx context.Context, r rabbitmq.Request) ([]byte, error) {
		handle, known := handlers[r.Key]
		if !known {
			return nil, fmt.Errorf("there is no command %q", r.Key)
		}
		return handle(telemetry.WithAttrs(ctx, slog.String("command", r.Key)), r)
	}
}

// contract is how one command is read, carried out and answered.
type contract[C, R any] struct {
	decode func(body []byte) (C, error)
	ids    func(c C) (commandID, sessionID string)
	do     func(ctx context.Context, c C) (R, error)
	encode func(reply commands.Reply[R]) ([]byte, error)
}

func serve[C, R any](k contract[C, R], log *slog.Logger) rabbitmq.RequestHandler {
	return func(ctx context.Context, r rabbitmq.Request) ([]byte, error) {
		command, err := k.decode(r.Body)
		if err != nil {
			return k.refuseUnread(r.Body, err)
		}
		commandID, sessionID := k.ids(command)
		ctx = telemetry.WithAttrs(ctx, slog.String("session_id", sessionID), slog.String("command_id", commandID))
		result, err := k.do(ctx, command)
		if err == nil {
			return k.encode(commands.Succeed(commandID, result))
		}
		failure := &commands.Failure{Code: commands.Internal, Message: "the bridge failed to carry the command out"}
		errors.As(err, &failure)
		if failure.Code == commands.Internal || failure.Code == commands.Unavailable {
			log.ErrorContext(ctx, "a command could not be carried out", slog.String("code", string(failure.Code)), slog.Any("error", err))
		}
		return k.encode(commands.Refuse[R](commandID, *failure))
	}
}

// refuseUnread answers a request that breaks its contract, if it can be told which one it was.
func (k contract[C, R]) refuseUnread(body []byte, cause error) ([]byte, error) {
	var named struct {
		CommandID string `json:"commandId"`
	}
	if json.Unmarshal(body, &named) != nil || uuid.Validate(named.CommandID) != nil {
		return nil, cause
	}
	reply, err := k.encode(commands.Refuse[R](named.CommandID, commands.Failure{Code: commands.InvalidCommand, Message: cause.Error()}))
	if err != nil {
		return nil, cause
	}
	return reply, nil
}
