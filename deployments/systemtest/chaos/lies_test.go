//go:build integration

package chaos

import (
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"

	"github.com/callplane/callplane/deployments/systemtest/chaos/schedule"
	"github.com/callplane/callplane/deployments/systemtest/stack"
)

// truthful is how many of four rooms have no lies about them.
const truthful = 1

// lies are the false answers about a room, by the names that the schedule has for them. None denies
// a participant in every way to ask: there would be no evidence left.
var lies = map[string]func(c stack.RoomCall, chance *rand.Rand, identities []string) stack.Lie{
	schedule.UnlistedRooms: func(c stack.RoomCall, _ *rand.Rand, _ []string) stack.Lie {
		if c.Method == "DeleteRoom" {
			return stack.Lie{Fails: twirp.NotFound}
		}
		return stack.Lie{Unlisted: true}
	},
	schedule.UnlistedPeople: func(_ stack.RoomCall, chance *rand.Rand, identities []string) stack.Lie {
		if len(identities) > 0 && chance.IntN(2) == 0 {
			identities = identities[chance.IntN(len(identities)):][:1]
		}
		return stack.Lie{Without: identities}
	},
	schedule.Stale:       func(stack.RoomCall, *rand.Rand, []string) stack.Lie { return stack.Lie{Stale: true} },
	schedule.NotFound:    notFound,
	schedule.Unavailable: func(stack.RoomCall, *rand.Rand, []string) stack.Lie { return stack.Lie{Fails: twirp.Unavailable} },
	schedule.Late: func(_ stack.RoomCall, chance *rand.Rand, _ []string) stack.Lie {
		return stack.Lie{Late: time.Second + time.Duration(chance.Int64N(int64(5*time.Second)))}
	},
	schedule.Clock: func(_ stack.RoomCall, chance *rand.Rand, _ []string) stack.Lie {
		return stack.Lie{Shift: time.Duration(chance.IntN(240)-120) * time.Second}
	},
}

// notFound finds nothing that is to be removed, deleted or changed. A change that changes nothing
// is a question, and is answered.
func notFound(c stack.RoomCall, _ *rand.Rand, _ []string) stack.Lie {
	switch r := c.Request.(type) {
	case *livekit.DeleteRoomRequest, *livekit.RoomParticipantIdentity:
		return stack.Lie{Fails: twirp.NotFound}
	case *livekit.UpdateParticipantRequest:
		if r.GetPermission() != nil {
			return stack.Lie{Fails: twirp.NotFound}
		}
	}
	return stack.Lie{}
}

// lie is what the proxy answers during a fault: about most rooms the same lie all the time, drawn
// by the seed, the fault and the room.
func (w *world) lie(f schedule.Fault) func(stack.RoomCall) stack.Lie {
	return func(c stack.RoomCall) stack.Lie {
		if !strings.HasPrefix(c.Room, roomPrefix) {
			return stack.Lie{}
		}
		name := fnv.New64a()
		_, _ = name.Write([]byte(c.Room + f.String())) // Never fails.
		chance := rand.New(rand.NewPCG(*seed, name.Sum64()))
		if chance.IntN(4) < truthful {
			return stack.Lie{}
		}
		identities, _ := w.identities.Load(c.Room)
		known, _ := identities.([]string)
		return lies[f.Target](c, chance, known)
	}
}
