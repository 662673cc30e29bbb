package stack

import (
	"slices"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/twitchtv/twirp"
	"google.golang.org/protobuf/proto"
)

// Lie is what is false in an answer of RoomService about one room. The zero value is the truth.
type Lie struct {
	Fails    twirp.ErrorCode // the error that is answered, and LiveKit is not asked
	Says     string          // the error's message
	Late     time.Duration   // how long the answer takes
	Unlisted bool            // the room is left out of ListRooms
	Without  []string        // identities that are left out of ListParticipants
	Stale    bool            // the room is listed, with its people, as in the last answer that was not stale
	Shift    time.Duration   // by how much the room's and the people's times are moved
}

// Honest is a decision for no lie at all.
func Honest(RoomCall) Lie { return Lie{} }

// Lying is a decision for the same lie about all calls of some methods; of all methods where none
// is given.
func Lying(lie Lie, methods ...string) func(RoomCall) Lie {
	return func(c RoomCall) Lie {
		if len(methods) > 0 && !slices.Contains(methods, c.Method) {
			return Lie{}
		}
		return lie
	}
}

// NoResponse is what LiveKit answers where the node that had a participant is gone.
func NoResponse() Lie { return Lie{Fails: twirp.Unavailable, Says: "no response from servers"} }

// knowledge is the last answer about each room that was not stale.
type knowledge struct {
	rooms  map[string]*livekit.Room
	people map[string][]*livekit.ParticipantInfo
}

func newKnowledge() knowledge {
	return knowledge{rooms: map[string]*livekit.Room{}, people: map[string][]*livekit.ParticipantInfo{}}
}

// falsify changes an answer by the lies of its exchange.
func (k knowledge) falsify(x exchange, answer proto.Message) {
	switch answer := answer.(type) {
	case *livekit.ListRoomsResponse:
		answer.Rooms = k.listed(x, answer.GetRooms())
	case *livekit.ListParticipantsResponse:
		room := x.asked[0]
		answer.Participants = k.present(room, x.lies[room], answer.GetParticipants())
	case *livekit.ParticipantInfo:
		shift(answer, x.lies[x.asked[0]].Shift)
	}
}

// listed is a listing of rooms with the lies about each.
func (k knowledge) listed(x exchange, honest []*livekit.Room) []*livekit.Room {
	var listed []*livekit.Room
	for _, room := range honest {
		lie := x.lies[room.GetName()]
		if lie.Stale && k.rooms[room.GetName()] != nil {
			continue // Its earlier entry is added below.
		}
		k.rooms[room.GetName()] = proto.CloneOf(room)
		if lie.Unlisted {
			continue
		}
		room.CreationTime += int64(lie.Shift.Seconds())
		room.CreationTimeMs += lie.Shift.Milliseconds()
		listed = append(listed, room)
	}
	for name, lie := range x.lies {
		if earlier := k.rooms[name]; lie.Stale && !lie.Unlisted && earlier != nil {
			listed = append(listed, proto.CloneOf(earlier))
		}
	}
	return listed
}

// present is a listing of people with the lie about their room.
func (k knowledge) present(room string, lie Lie, honest []*livekit.ParticipantInfo) []*livekit.ParticipantInfo {
	people := honest
	if earlier, known := k.people[room]; lie.Stale && known {
		people = earlier
	} else {
		k.people[room] = honest
	}
	var listed []*livekit.ParticipantInfo
	for _, person := range people {
		if slices.Contains(lie.Without, person.GetIdentity()) {
			continue
		}
		person = proto.CloneOf(person)
		shift(person, lie.Shift)
		listed = append(listed, person)
	}
	return listed
}

func shift(person *livekit.ParticipantInfo, by time.Duration) {
	person.JoinedAt += int64(by.Seconds())
	person.JoinedAtMs += by.Milliseconds()
}
