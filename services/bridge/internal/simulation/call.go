package simulation

import (
	"time"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// call is one session and its room.
type call struct {
	id, room string
	sessions *sessions
	rules    *rules
	roles    map[string]events.Role // that the last token gives, by identity
	settling Settling
}

func newCall(id string, provider *Provider) *call {
	room := domain.RoomName(id)
	return &call{
		id: id, room: room, sessions: newSessions(id, Members), roles: map[string]events.Role{},
		rules: newRules(provider, room),
	}
}

// Issue implements ports.Tokens.
func (c *call) Issue(g ports.TokenGrant) (commands.JoinToken, string, time.Time, error) {
	c.roles[g.Grant.Identity] = g.Grant.Role
	return commands.NewJoinToken("token"), "wss://media.example", time.Now().Add(g.TTL), nil
}

// Members are those of each session when it is created, beside its owner.
var Members = []string{"alice", "bob", "carol"}

// Outsiders come into rooms without a token of ours.
var Outsiders = map[string]domain.Kind{
	"phone": domain.Phone, "agent": domain.Agent, "recorder": domain.Recorder, "stranger": domain.Standard,
}

// Devices are the second ones of members, with their users.
var Devices = map[string]string{"alice's tablet": "alice"}

// userOf returns whose device it is, and "" for an outsider.
func userOf(who string) string {
	if _, outsider := Outsiders[who]; outsider {
		return ""
	}
	if user, second := Devices[who]; second {
		return user
	}
	return who
}

func deviceOf(who string) string {
	if _, second := Devices[who]; second {
		return "second"
	}
	return domain.DefaultDevice
}

// identity is that of a device, and of an outsider.
func identity(who string) string {
	if user := userOf(who); user != "" {
		return user + "#" + deviceOf(who)
	}
	return who
}
