package app_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

func TestOneBadRoomIsItsOwnFaultOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, m := setup(t), &media{rooms: map[string]domain.Listing{room: sees("alice#default")}}
		_, err := b.token(nil)
		require.NoError(t, err)
		bad := "0198a3c0-5f00-7000-8000-00000000000b"
		_, err = b.token(func(c *commands.TokenIssue) { c.SessionID = bad })
		require.NoError(t, err)
		l := sees("alice#default")
		l.Room.Name = domain.RoomName(bad)
		m.set(l.Room.Name, l)
		m.fail(l.Room.Name, true)
		r := b.replica(m, "one")
		r.run(t)
		pass(time.Minute)
		require.Len(t, b.types(), 3, "the other call is followed")
		require.NotContains(t, b.tally.take(), "reconciliation:given_up")
		m.set(room, sees())
		pass(interval + domain.ConfirmDelay + window + time.Second)
		require.Contains(t, b.types(), events.CallParticipantLeft, "and so are its ends")
		m.fail(l.Room.Name, false)
		before := len(b.types())
		pass(5*time.Minute + interval)
		require.Len(t, b.types(), before+3+1, "the bad one is tried again; the empty one is over")
	})
}
