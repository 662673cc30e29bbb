package simulation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// Action is the kind of a step.
type Action string

// What members, outsiders and their clients do.
const (
	Token       Action = "token"        // a member gets a token
	Join        Action = "join"         // with the last token; an earlier connection gives way
	JoinSlowly  Action = "join slowly"  // the same, and the connection is fully in the room seconds later
	Abort       Action = "abort"        // the same, and the connection never gets there
	Leave       Action = "leave"        // in order
	Die         Action = "die"          // the client is gone, which the provider notices later
	Migrate     Action = "migrate"      // the provider moves the connection to another node
	Publish     Action = "publish"      // one more track
	Unpublish   Action = "unpublish"    // the oldest track
	Second      Action = "second"       // a second connection on the token, which only publishes
	EverybodyIn Action = "everybody in" // each member gets a token, joins and publishes
)

// What happens to the provider and its webhooks.
const (
	Crash      Action = "crash"       // all nodes of the provider are gone, and new ones take over
	Clock      Action = "clock"       // the provider's clock is wrong by By
	Begin      Action = "begin"       // the provider tells Lie from now on
	Honest     Action = "honest"      // the provider tells no lie any more
	Lose       Action = "lose"        // webhooks of the call are lost from now on
	Hold       Action = "hold"        // webhooks of the call's current room wait
	Delay      Action = "delay"       // webhooks of the call come later by By from now on
	Prompt     Action = "prompt"      // all webhooks come at once from now on, those that waited first
	Repeat     Action = "repeat"      // the webhook that came Back before the last one comes again
	RepeatAnew Action = "repeat anew" // the same, under a new id
)

// What happens at the services.
const (
	Remove   Action = "remove"   // a member is removed, of which the bridge hears By later
	Invite   Action = "invite"   // a user becomes a member with Role, or gets it, likewise
	End      Action = "end"      // the session ends by the API, likewise
	Presence Action = "presence" // the sessions service asks whether the call is empty
	Outage   Action = "outage"   // the bridge's store is away, or back again
	Stop     Action = "stop"     // the bridge stops, and takes no webhooks
	Start    Action = "start"    // the bridge starts, with an empty memory
	Wait     Action = "wait"     // nothing
	Right    Action = "right"    // nothing; all must be right in the call, whatever lies are told
)

// Step is one step of a schedule: After goes by, and then Do happens to Who.
type Step struct {
	After time.Duration
	Do    Action
	Call  int    // the index of its session in SessionIDs
	Who   string // a member, one of Devices, or one of Outsiders
	Lie   Lie
	Role  events.Role
	By    time.Duration
	Back  int
}

// String describes the step.
func (s Step) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "+%v %s", s.After, s.Do)
	if s.Call > 0 {
		fmt.Fprintf(&b, " in call %d", s.Call)
	}
	for _, part := range []string{s.Who, string(s.Lie), string(s.Role)} {
		if part != "" {
			b.WriteString(" " + part)
		}
	}
	if s.By != 0 {
		fmt.Fprintf(&b, " by %v", s.By)
	}
	if s.Back > 0 {
		fmt.Fprintf(&b, " back %d", s.Back)
	}
	return b.String()
}

// Schedule is what happens in the calls.
type Schedule struct {
	Redis bool // the provider's store outlives its nodes
	Extra int  // replicas of the bridge beside the first one
	Steps []Step
}

// String lists the steps.
func (s Schedule) String() string {
	lines := []string{fmt.Sprintf("redis: %v, extra replicas: %d", s.Redis, s.Extra)}
	for _, step := range s.Steps {
		lines = append(lines, step.String())
	}
	return strings.Join(lines, "\n")
}

// tells says whether the provider tells a lie.
func (s Schedule) tells(lie Lie) bool {
	return slices.ContainsFunc(s.Steps, func(step Step) bool { return step.Do == Begin && step.Lie == lie })
}

// fails says whether calls to the provider or to the store fail, or take so long that what the
// provider says is too old.
func (s Schedule) fails() bool {
	return slices.ContainsFunc(s.Steps, func(step Step) bool {
		if step.Do != Begin {
			return step.Do == Outage
		}
		switch step.Lie {
		case HideRoom, HidePerson, Freeze, Ghost, OldRoom, AskNotFound, AskNoResponse, Ignored:
			return false
		default:
			return true
		}
	})
}
