package simulation

import (
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// actions is what each action does, to whom a step names in a call.
var actions = map[Action]func(w *world, s Step, c *call){
	Token:       (*world).token,
	Join:        (*world).join,
	JoinSlowly:  (*world).join,
	Abort:       (*world).join,
	Leave:       func(w *world, s Step, c *call) { w.provider.leave(c.room, identity(s.Who)) },
	Die:         func(w *world, s Step, c *call) { w.provider.die(c.room, identity(s.Who)) },
	Migrate:     func(w *world, s Step, c *call) { w.provider.migrate(c.room, identity(s.Who)) },
	Publish:     func(w *world, s Step, c *call) { w.provider.publish(c.room, identity(s.Who)) },
	Unpublish:   func(w *world, s Step, c *call) { w.provider.unpublish(c.room, identity(s.Who)) },
	Second:      (*world).second,
	Crash:       func(w *world, _ Step, _ *call) { w.provider.crash() },
	Clock:       func(w *world, s Step, _ *call) { w.provider.setClock(s.By) },
	Begin:       func(w *world, s Step, c *call) { w.provider.begin(s.Lie, c.room, identity(s.Who)) },
	Honest:      func(w *world, _ Step, _ *call) { w.provider.honest() },
	Lose:        func(w *world, _ Step, c *call) { w.webhooks.lose(c.room) },
	Hold:        func(w *world, _ Step, c *call) { w.webhooks.hold(c.room) },
	Delay:       func(w *world, s Step, c *call) { w.webhooks.delay(c.room, s.By) },
	Prompt:      func(w *world, _ Step, _ *call) { w.webhooks.prompt() },
	Repeat:      func(w *world, s Step, c *call) { w.webhooks.repeat(c.room, s.Back, false) },
	RepeatAnew:  func(w *world, s Step, c *call) { w.webhooks.repeat(c.room, s.Back, true) },
	Remove:      func(_ *world, s Step, c *call) { c.sessions.remove(userOf(s.Who), s.By) },
	Invite:      func(_ *world, s Step, c *call) { c.sessions.set(userOf(s.Who), s.Role, s.By) },
	End:         func(_ *world, s Step, c *call) { c.sessions.end(s.By) },
	Presence:    (*world).presence,
	Outage:      func(w *world, _ Step, _ *call) { w.bridge.toggle() },
	Stop:        func(w *world, _ Step, _ *call) { w.bridge.halt() },
	Start:       func(w *world, _ Step, _ *call) { w.bridge.start(w.ctx) },
	Right:       func(w *world, _ Step, c *call) { w.mustBeRight(c) },
	Wait:        func(*world, Step, *call) {},
	EverybodyIn: (*world).everybodyIn,
}

// everybodyIn has each member get a token, join unless they are in the room, and publish.
func (w *world) everybodyIn(_ Step, c *call) {
	for _, user := range Members {
		w.token(Step{Who: user}, c)
		if _, in := w.provider.inRoom(c.room)[identity(user)]; !in {
			w.join(Step{Do: Join, Who: user}, c)
		}
		w.provider.publish(c.room, identity(user))
	}
}

// token has the sessions service ask the bridge for a member's token.
func (w *world) token(s Step, c *call) {
	user, device := userOf(s.Who), deviceOf(s.Who)
	role, version, member := c.sessions.member(user)
	if w.bridge.stopped() || !member {
		return
	}
	if err := w.bridge.token(w.ctx, c, user, device, role, version); err != nil {
		w.log.note("no token for %s: %v", s.Who, err)
	}
}

// join adds the connection of a member who has a token, or of an outsider, who needs none.
func (w *world) join(s Step, c *call) {
	kind, outsider := Outsiders[s.Who]
	who := person{identity: identity(s.Who), kind: kind, role: domain.OtherRole}
	if !outsider {
		role, given := c.roles[who.identity]
		if !given {
			return
		}
		who.role = role
	}
	if s.Do != Join {
		who.activeAt, who.aborts = time.Now().Add(connectTime), s.Do == Abort
	}
	w.provider.enter(c.room, who)
}

// second has the holder of a token come once more, to publish. A viewer's token doesn't let them.
func (w *world) second(s Step, c *call) {
	role, given := c.roles[identity(s.Who)]
	if !given || role == events.RoleViewer {
		return
	}
	second := person{identity: identity(s.Who) + "#second", role: role}
	w.provider.enter(c.room, second)
	w.provider.publish(c.room, second.identity)
}

// presence asks the bridge whether anybody is in the call. What isn't known for sure is no answer,
// and never a no.
func (w *world) presence(_ Step, c *call) {
	_, version, going := c.sessions.member(owner)
	if w.bridge.stopped() || !going {
		return
	}
	shown, err := w.bridge.presence(w.ctx, c, version)
	w.log.note("presence: %+v %v", shown, err)
	if err != nil || shown.Connected || shown.Activated {
		return
	}
	m := w.bridge.mapping(w.ctx, c.id)
	for identity := range w.provider.inRoom(c.room) {
		if _, there := c.rules.present(identity, m); there {
			w.log.problem("call.presence says that the call is empty, and %s is in it", identity)
		}
	}
}
