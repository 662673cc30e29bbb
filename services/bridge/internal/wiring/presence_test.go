//go:build integration

package wiring

import (
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/topology"
)

// presence asks whether anybody is in the session's call, as sessions does before it gives one up.
func (s *sessions) presence(session string, version int64) commands.CallPresenceShown {
	s.t.Helper()
	request, err := commands.EncodeCallPresence(commands.CallPresence{CommandID: uuid.NewString(), SessionID: session, SessionVersion: version})
	require.NoError(s.t, err)
	body, err := s.commands.Call(s.t.Context(), topology.CommandsExchange, commands.CallPresenceName, request, nil)
	require.NoError(s.t, err)
	reply, err := commands.DecodePresenceReply(body)
	require.NoError(s.t, err)
	shown, err := reply.Value()
	require.NoError(s.t, err)
	return shown
}
