package amqp

import (
	"context"
	"errors"
	"fmt"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// Presence is ports.MediaPresence by command to the provider's side.
type Presence struct {
	caller Caller
	ids    ports.IDs
}

var _ ports.MediaPresence = (*Presence)(nil)

// NewPresence returns a client that asks through caller.
func NewPresence(caller Caller, ids ports.IDs) *Presence { return &Presence{caller: caller, ids: ids} }

// Ask implements ports.MediaPresence.
func (p *Presence) Ask(ctx context.Context, sessionID string, sessionVersion int64) (ports.CallPresence, error) {
	const what = "ask who is in a call"
	id, err := p.ids.NewID()
	if err != nil {
		return ports.CallPresence{}, fmt.Errorf("%s: %w", what, err)
	}
	body, err := commands.EncodeCallPresence(commands.CallPresence{CommandID: id, SessionID: sessionID, SessionVersion: sessionVersion})
	if err != nil {
		return ports.CallPresence{}, fmt.Errorf("%s: %w", what, err)
	}
	headers := map[string]string{topology.HeaderSessionID: sessionID}
	encoded, err := p.caller.Call(ctx, topology.CommandsExchange, commands.CallPresenceName, body, headers)
	if err != nil {
		return ports.CallPresence{}, callError(what, err)
	}
	reply, err := commands.DecodePresenceReply(encoded)
	if err != nil {
		return ports.CallPresence{}, fmt.Errorf("read the reply to a presence command: %w", err)
	}
	if reply.CommandID != id {
		return ports.CallPresence{}, errors.New("read the reply to a presence command: it answers another command")
	}
	shown, err := reply.Value()
	if err != nil {
		return ports.CallPresence{}, refusal(err)
	}
	return ports.CallPresence{Connected: shown.Connected, Activated: shown.Activated}, nil
}
