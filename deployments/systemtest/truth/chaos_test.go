//go:build integration

package truth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/caller"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/stack"
)

const (
	muddleLasts = 45 * time.Second
	muddles     = 4
	// seedSetting repeats what chance did in another run, as far as the servers let it.
	seedSetting = "CALLPLANE_TEST_SEED"
)

// TestWhateverHappens has people come, go, be lost and be put out by chance, webhooks be lost, refused, late and doubled by chance, and the
// bridge and LiveKit be killed again and again. When it is quiet again the sessions show who LiveKit says is there, and each log was taken as a whole.
func TestWhateverHappens(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	if set, err := strconv.ParseUint(os.Getenv(seedSetting), 10, 64); err == nil {
		seed = set
	}
	t.Logf("%s=%d", seedSetting, seed)
	s := usual(t, stack.WithWebhookProxy(), quick(8*time.Second, nil))
	end := time.Now().Add(muddleLasts)
	for n := range uint64(muddles) {
		t.Run(fmt.Sprint("call ", n), func(t *testing.T) {
			t.Parallel()
			m := &muddle{
				call: newCall(t, s), chance: rand.New(rand.NewPCG(seed, n)),
				tokens: map[string]callplane.Token{}, people: map[string]*caller.Process{},
			}
			m.happen(end)
			m.settle()
		})
	}
	t.Run("the servers", func(t *testing.T) {
		t.Parallel()
		chance := rand.New(rand.NewPCG(seed, muddles))
		for time.Now().Before(end) {
			since(t, time.Now(), time.Duration(5+chance.IntN(15))*time.Second)
			if chance.IntN(4) == 0 {
				s.LiveKit.Kill(t)
				s.LiveKit.Start(t)
			} else {
				s.Bridge.Kill(t)
				s.Bridge.Start(t)
			}
		}
	})
}

// muddle is a call in which anything happens.
type muddle struct {
	*call

	chance *rand.Rand
	tokens map[string]callplane.Token
	people map[string]*caller.Process // who is on the line, as far as is known
}

// happen lets things happen until the end.
func (m *muddle) happen(end time.Time) {
	m.stack.Webhooks.Treat(m.room, m.anyFate())
	defer m.stack.Webhooks.Treat(m.room, stack.Always(stack.Pass))
	users := []string{alice, bob, carol}
	for _, user := range users {
		m.tokens[user] = m.stack.Token(m, m.id, user)
	}
	for time.Now().Before(end) {
		user := users[m.chance.IntN(len(users))]
		began := time.Now().UTC()
		what := m.befall(user)
		m.Logf("%s to %s: %s %s", began.Format("05.000"), time.Now().UTC().Format("05.000"), what, user)
		since(m, time.Now(), time.Duration(m.chance.IntN(2500))*time.Millisecond)
	}
}

// anyFate is a decision by chance.
func (m *muddle) anyFate() func(stack.Webhook) stack.Fate {
	fates := []stack.Fate{stack.Pass, stack.Pass, stack.Pass, stack.Lose, stack.Refuse, stack.Delay, stack.Twice}
	chance := rand.New(rand.NewPCG(m.chance.Uint64(), 0))
	var mu sync.Mutex
	return func(stack.Webhook) stack.Fate {
		mu.Lock()
		defer mu.Unlock()
		return fates[chance.IntN(len(fates))]
	}
}

// befall has something happen to somebody, and says what. Where the servers are being killed it may not happen.
func (m *muddle) befall(user string) string {
	p := m.people[user]
	if p == nil || p.Over() {
		m.comes(user)
		return "comes"
	}
	switch m.chance.IntN(8) {
	case 0, 1:
		p.TryLeave(m)
		return "hangs up"
	case 2:
		p.Kill(m)
		return "is killed"
	case 3:
		p.Freeze(m)
		since(m, time.Now(), time.Duration(m.chance.IntN(28_000))*time.Millisecond)
		p.Thaw(m)
		return "is frozen"
	case 4:
		m.comes(user) // in place of the one who is there
		return "comes twice"
	case 5:
		p.Migrate(m)
		return "is migrated"
	case 6:
		_, err := m.stack.Rooms.RemoveParticipant(m.Context(), &livekit.RoomParticipantIdentity{Room: m.room, Identity: p.Identity()})
		return fmt.Sprintf("is put out (%v)", err)
	default:
		_ = p.TryPublish(m) // They may be put out before.
		return "publishes"
	}
}

func (m *muddle) comes(user string) {
	p, err := m.stack.TryJoin(m, m.tokens[user])
	if err != nil {
		return // The room is being deleted at this moment, or somebody put them out.
	}
	m.people[user] = p
	if m.chance.IntN(3) > 0 {
		_ = p.TryPublish(m)
	}
}

// settle waits until the session shows who is there, has all leave, and holds it against its end.
func (m *muddle) settle() {
	await(m, func(ctx context.Context) error {
		there, err := m.there(ctx)
		if err != nil {
			return err
		}
		session, err := m.stack.API.As(alice).Get(ctx, m.id)
		if err != nil {
			return err
		}
		present := map[string]string{}
		for _, p := range session.Participants {
			if p.Status != "left" {
				present[p.UserID] = p.Status
			}
		}
		if !maps.Equal(present, there) {
			lines, _ := m.lines(ctx)
			return fmt.Errorf("the session is %s and shows %v, LiveKit has %v: %q", session.Status, present, there, lines)
		}
		return nil
	})
	for _, p := range m.people {
		if !p.Over() {
			p.TryLeave(m)
		}
	}
	m.noRoom()
	await(m, func(ctx context.Context) error {
		session, err := m.stack.API.As(alice).Get(ctx, m.id)
		if err == nil && session.EndedAt == nil {
			lines, _ := m.lines(ctx)
			err = fmt.Errorf("the session is %s: %q", session.Status, lines)
		}
		return err
	})
	lines := m.now()
	m.Logf("%q", lines)
	left := map[string]string{}
	session, err := m.stack.API.As(alice).Get(m.Context(), m.id)
	require.NoError(m, err)
	for _, p := range session.Participants {
		left[p.UserID] = "left"
	}
	m.ends(session.Status, left, happens(lines...))
}

// there lists who is in the room, as the session should show them.
func (m *muddle) there(ctx context.Context) (map[string]string, error) {
	there := map[string]string{}
	exists, err := m.stack.RoomExists(ctx, m.room)
	if err != nil || !exists {
		return there, err
	}
	listed, err := m.stack.Rooms.ListParticipants(ctx, &livekit.ListParticipantsRequest{Room: m.room})
	if err != nil {
		return nil, fmt.Errorf("listing the room: %w", err)
	}
	for _, p := range listed.GetParticipants() {
		if p.GetState() != livekit.ParticipantInfo_ACTIVE {
			return nil, errors.New("somebody is on their way")
		}
		for user, token := range m.tokens {
			if token.Identity == p.GetIdentity() {
				there[user] = "present"
			}
		}
	}
	return there, nil
}
