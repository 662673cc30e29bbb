package live_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/adapters/memory"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/app/live"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	alice = domain.Principal{UserID: "alice"}
	bob   = domain.Principal{UserID: "bob"}
)

// replicas are two hubs on one store: the first is the replica that changes things, the second hears of it by hints.
type replicas struct {
	t     *testing.T
	store *memory.Store
	clock *memory.Clock
	hubs  []*live.Hub
	hint  func() bool // whether a hint gets through
}

func setup(t *testing.T) *replicas {
	t.Helper()
	store := memory.NewStore()
	r := &replicas{t: t, store: store, clock: memory.NewClock(portstest.Start), hint: func() bool { return true }}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for range 2 {
		hub := live.NewHub(store, slog.New(slog.DiscardHandler))
		r.hubs = append(r.hubs, hub)
		running.Go(func() { hub.Run(ctx) })
	}
	store.Follow(func(added ports.Appended) {
		r.hubs[0].Publish(added)
		if r.hint() {
			r.hubs[1].Hinted(ports.Hint{SessionID: added.SessionID, First: added.First(), Last: added.Last(), Users: added.Users})
		}
	})
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return r
}

func (r *replicas) create(owner domain.Principal, members ...string) string {
	r.t.Helper()
	spec := domain.Spec{}
	for _, user := range members {
		spec.Members = append(spec.Members, events.Member{UserID: user, Role: events.RoleParticipant})
	}
	view, err := app.CreateSession{Store: r.store, Clock: r.clock, IDs: memory.IDs{}}.Do(r.t.Context(), owner, spec)
	require.NoError(r.t, err)
	return view.Session.ID()
}

func (r *replicas) retitle(id, title string) {
	r.t.Helper()
	_, err := app.UpdateSession{Store: r.store, Clock: r.clock, IDs: memory.IDs{}}.Do(r.t.Context(), alice, id, domain.Patch{Title: events.Some(title)})
	require.NoError(r.t, err)
}

func (r *replicas) remove(id, user string) {
	r.t.Helper()
	require.NoError(r.t, app.RemoveMember{Store: r.store, Clock: r.clock, IDs: memory.IDs{}}.Do(r.t.Context(), alice, id, user))
}

func (r *replicas) add(id, user string) {
	r.t.Helper()
	_, err := app.SetMember{Store: r.store, Clock: r.clock, IDs: memory.IDs{}}.
		Do(r.t.Context(), alice, id, events.Member{UserID: user, Role: events.RoleViewer})
	require.NoError(r.t, err)
}

func (r *replicas) session(hub int, caller domain.Principal, request live.SessionRequest) *live.SessionStream {
	r.t.Helper()
	stream, err := live.FollowSession{Hub: r.hubs[hub], Journal: r.store, Clock: r.clock}.Open(r.t.Context(), caller, request)
	require.NoError(r.t, err)
	r.t.Cleanup(stream.Close)
	return stream
}

func (r *replicas) user(hub int, caller domain.Principal, after string) *live.UserStream {
	r.t.Helper()
	uc := live.FollowUser{Hub: r.hubs[hub], Journal: r.store, Cursors: app.EventCursors{Keys: r.store}, Clock: r.clock}
	stream, err := uc.Open(r.t.Context(), caller, after)
	require.NoError(r.t, err)
	r.t.Cleanup(stream.Close)
	return stream
}

// log returns the ids of a session's whole log.
func (r *replicas) log(id string) []string {
	r.t.Helper()
	entries, err := r.store.Read(r.t.Context(), id, 0, 1<<20)
	require.NoError(r.t, err)
	ids := make([]string, len(entries))
	for i, entry := range entries {
		ids[i] = entry.EventID
	}
	return ids
}

type stream interface {
	Next(ctx context.Context) ([]live.Message, error)
}

// take reads exactly so many messages more.
func take(t *testing.T, from stream, count int) []live.Message {
	t.Helper()
	var all []live.Message
	for len(all) < count {
		messages, err := from.Next(t.Context())
		require.NoError(t, err)
		all = append(all, messages...)
	}
	require.Len(t, all, count)
	return all
}

func eventOf(t *testing.T, m live.Message) events.Envelope {
	t.Helper()
	var envelope events.Envelope
	require.NoError(t, json.Unmarshal(m.Data, &envelope))
	require.Equal(t, string(envelope.Type), m.Type)
	return envelope
}

func idsOf(messages []live.Message) []string {
	ids := make([]string, len(messages))
	for i, m := range messages {
		ids[i] = m.ID
	}
	return ids
}

// TestReplayAndLiveJoin has readers at both replicas come and go at random while writers append and half of the hints are lost. Every
// reader ends with the exact log.
func TestReplayAndLiveJoin(t *testing.T) {
	r := setup(t)
	r.hint = func() bool { return rand.IntN(2) == 0 }
	const writes, readers = 200, 8
	id := r.create(alice, "bob")
	var running sync.WaitGroup
	for w := range 2 {
		running.Go(func() {
			for i := range writes {
				r.retitle(id, strconv.Itoa(w)+"-"+strconv.Itoa(i))
			}
		})
	}
	const total = 2*writes + 1
	read := make([][]string, readers)
	for n := range readers {
		running.Go(func() {
			after := ""
			for len(read[n]) < total {
				stream, err := live.FollowSession{Hub: r.hubs[n%2], Journal: r.store, Clock: r.clock}.
					Open(t.Context(), bob, live.SessionRequest{SessionID: id, After: after})
				if err != nil {
					t.Error(err)
					return
				}
				for range 1 + rand.IntN(10) {
					messages, err := stream.Next(t.Context())
					if err != nil {
						t.Error(err)
						break
					}
					if cut := rand.IntN(len(messages) + 1); rand.IntN(4) == 0 {
						messages = messages[:cut] // the connection breaks before the rest arrives
						read[n] = append(read[n], idsOf(messages)...)
						break
					}
					if read[n] = append(read[n], idsOf(messages)...); len(read[n]) >= total {
						break
					}
				}
				stream.Close()
				if len(read[n]) > 0 {
					after = read[n][len(read[n])-1]
				}
			}
		})
	}
	running.Wait()
	log := r.log(id)
	require.Len(t, log, total)
	for n := range readers {
		require.Equal(t, log, read[n], "reader %d", n)
	}
}

func TestASessionStreamBeginsBehindItsWatermark(t *testing.T) {
	r := setup(t)
	id := r.create(alice, "bob")
	r.retitle(id, "one")
	log := r.log(id)
	require.Equal(t, log, idsOf(take(t, r.session(0, bob, live.SessionRequest{SessionID: id}), 2)))
	stream := r.session(1, bob, live.SessionRequest{SessionID: id, After: log[1]})
	r.retitle(id, "two")
	require.Equal(t, r.log(id)[2:], idsOf(take(t, stream, 1)))
	_, err := live.FollowSession{Hub: r.hubs[0], Journal: r.store, Clock: r.clock}.
		Open(t.Context(), bob, live.SessionRequest{SessionID: id, After: portstest.NewID(t)})
	var gone *ports.WatermarkGoneError
	require.ErrorAs(t, err, &gone)
	require.Equal(t, log[0], gone.Earliest)
	_, err = live.FollowSession{Hub: r.hubs[0], Journal: r.store, Clock: r.clock}.
		Open(t.Context(), domain.Principal{UserID: "mallory"}, live.SessionRequest{SessionID: id})
	require.ErrorIs(t, err, domain.ErrNotFound)
}

func TestOnlyTheTypesThatAreAskedFor(t *testing.T) {
	r := setup(t)
	id := r.create(alice, "bob")
	stream := r.session(0, bob, live.SessionRequest{SessionID: id, Types: []events.Type{events.CallMemberAdded}})
	r.retitle(id, "passed over")
	r.add(id, "carol")
	require.Equal(t, r.log(id)[2:], idsOf(take(t, stream, 1)))
}

func TestTheLastEventOfAMemberIsTheirRemoval(t *testing.T) {
	r := setup(t)
	id := r.create(alice, "bob")
	r.remove(id, "bob")
	r.add(id, "bob")
	whole := r.session(1, bob, live.SessionRequest{SessionID: id})
	filtered := r.session(0, bob, live.SessionRequest{SessionID: id, Types: []events.Type{events.CallEnded}})
	require.Equal(t, r.log(id), idsOf(take(t, whole, 3)), "an earlier removal ends nothing")
	r.remove(id, "bob")
	r.retitle(id, "not for bob")
	for _, stream := range []*live.SessionStream{whole, filtered} {
		require.Equal(t, r.log(id)[3:4], idsOf(take(t, stream, 1)))
		_, err := stream.Next(t.Context())
		require.ErrorIs(t, err, live.ErrRemoved)
	}
	service := domain.Principal{UserID: "bob", Scopes: []domain.Scope{domain.ScopeRead}}
	require.Len(t, take(t, r.session(0, service, live.SessionRequest{SessionID: id}), 5), 5)
}

func TestAUserHasSoManyStreams(t *testing.T) {
	r := setup(t)
	id := r.create(alice, "bob")
	for range live.MaxStreams - 1 {
		r.session(0, bob, live.SessionRequest{SessionID: id})
	}
	last := r.user(0, bob, "")
	open := live.FollowSession{Hub: r.hubs[0], Journal: r.store, Clock: r.clock}
	_, err := open.Open(t.Context(), bob, live.SessionRequest{SessionID: id})
	require.ErrorIs(t, err, live.ErrTooManyStreams)
	r.session(0, alice, live.SessionRequest{SessionID: id})
	last.Close()
	r.session(0, bob, live.SessionRequest{SessionID: id})
}

func TestStreamsEndWithTheReplicaAndTheToken(t *testing.T) {
	r := setup(t)
	id := r.create(alice, "bob")
	session := r.session(0, bob, live.SessionRequest{SessionID: id, After: r.log(id)[0]})
	user := r.user(0, bob, "")
	take(t, user, 1)
	late := bob
	late.ExpiresAt = r.clock.Now().Add(time.Millisecond)
	expiring := r.session(1, late, live.SessionRequest{SessionID: id, After: r.log(id)[0]})
	_, err := expiring.Next(t.Context())
	require.ErrorIs(t, err, live.ErrExpired)
	r.hubs[0].Drain()
	for _, s := range []stream{session, user} {
		_, err := s.Next(t.Context())
		require.ErrorIs(t, err, live.ErrDraining)
	}
	_, err = live.FollowSession{Hub: r.hubs[0], Journal: r.store, Clock: r.clock}.Open(t.Context(), bob, live.SessionRequest{SessionID: id})
	require.ErrorIs(t, err, live.ErrDraining)
}

// TestASilentStreamBeats: also where it is woken all the time, by sweeps and by what is not for its reader.
func TestASilentStreamBeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := setup(t)
		id := r.create(alice, "bob")
		filtered := r.session(0, bob, live.SessionRequest{SessionID: id, After: r.log(id)[0], Types: []events.Type{events.CallEnded}})
		bobs := r.user(0, bob, "")
		take(t, bobs, 1) // ready
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		apply := app.ApplyEvent{Store: r.store, Clock: r.clock, IDs: memory.IDs{}, Counters: &memory.Counters{}}
		var billing sync.WaitGroup
		billing.Go(func() {
			for ctx.Err() == nil {
				if err := apply.Do(t.Context(), portstest.Said(t, id, portstest.NewID(t), portstest.Billed())); err != nil {
					t.Error(err)
				}
				time.Sleep(3 * time.Second) // of the test's clock, which stands still while anything else goes on
			}
		})
		for _, silent := range []stream{filtered, bobs} {
			for range 2 {
				began := time.Now()
				messages, err := silent.Next(ctx)
				require.NoError(t, err)
				require.Empty(t, messages)
				require.Equal(t, live.HeartbeatEvery, time.Since(began))
			}
		}
		cancel()
		billing.Wait()
	})
}

// TestBillingIsKeptFromMembers: neither replay nor what comes live shows it to a member, on either kind of stream; the stream goes on behind
// it, and a principal of another service is shown it.
func TestBillingIsKeptFromMembers(t *testing.T) {
	r := setup(t)
	id := r.create(alice, "bob")
	bill := func() {
		apply := app.ApplyEvent{Store: r.store, Clock: r.clock, IDs: memory.IDs{}, Counters: &memory.Counters{}}
		require.NoError(t, apply.Do(t.Context(), portstest.Said(t, id, portstest.NewID(t), portstest.Billed())))
	}
	bobs := r.user(0, bob, "")
	take(t, bobs, 1) // ready
	bill()
	member := r.session(0, bob, live.SessionRequest{SessionID: id})
	auditor := r.session(0, domain.Principal{UserID: "auditor", Scopes: []domain.Scope{domain.ScopeRead}}, live.SessionRequest{SessionID: id})
	require.Equal(t, "call.created", take(t, member, 1)[0].Type)
	bill()
	r.retitle(id, "later")
	require.Equal(t, "call.updated", take(t, member, 1)[0].Type)
	require.Equal(t, "call.updated", take(t, bobs, 1)[0].Type)
	var types []string
	for _, message := range take(t, auditor, 4) {
		types = append(types, message.Type)
	}
	require.Equal(t, []string{"call.created", "billing.usage.recorded", "billing.usage.recorded", "call.updated"}, types)
	require.Equal(t, r.log(id)[3], take(t, r.session(1, bob, live.SessionRequest{SessionID: id, After: r.log(id)[1]}), 1)[0].ID, "behind one that is hidden")
	require.Equal(t, 4, r.hubs[0].Open()+r.hubs[1].Open())
}
