//go:build integration

package systemtest

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/deployments/systemtest/callplane"
	"github.com/callplane/callplane/deployments/systemtest/stack"
	"github.com/callplane/callplane/libs/outbox"
	"github.com/callplane/callplane/libs/testkit"
)

const (
	flowSessions = 200 // with a call that goes on
	flowEvents   = 10  // of each session between one look at the clock and the next
	flowPatience = 2 * time.Minute
	boundCores   = 0.15 // cmd/bench's table names it
)

// BenchmarkEvents tells how many events a second come from the bridge's outbox into the states of sessions, as long as there are enough of
// them, with one replica of both services and with two; by turns with the same messages through the same kind of partitions to a consumer
// that commits a row for each and does nothing else. of-floor is the one rate as a part of the other. Rates are of the moments that the
// database commits at, from the first to the last.
//
// On a machine whose cores one replica of each, the broker and the database use up, a second one has nothing to run on. "bound" gives each
// replica a small part of a core, so that there is something left for the second.
func BenchmarkEvents(b *testing.B) {
	s := stack.Released(b, stack.WithBridge(map[string]string{"RECONCILE_INTERVAL": "0"})) // LiveKit has no such rooms
	f := newFlow(b, s)
	bare := newBareConsumer(b, s)
	f.measure(b, bare, nil)
	b.Run("bound", func(b *testing.B) {
		bind := func(b *testing.B, p *stack.Process) { b.Helper(); p.Bind(b, boundCores) }
		bind(b, s.Sessions)
		bind(b, s.Bridge)
		f.measure(b, bare, bind)
	})
}

// measure measures with one replica of each and with two; started is given each further process that has come up.
func (f *flow) measure(b *testing.B, bare *bareConsumer, started func(b *testing.B, p *stack.Process)) {
	b.Helper()
	for _, replicas := range []int{1, 2} {
		b.Run(fmt.Sprintf("replicas=%d", replicas), func(b *testing.B) {
			f.replicas(b, replicas, started)
			var ours, theirs []float64
			profiled := profileBoth(b, f.s)
			for b.Loop() {
				theirs = append(theirs, bare.rate(b, f.next(b)))
				ours = append(ours, f.rate(b, f.next(b)))
			}
			profiled()
			b.ReportMetric(mean(ours), "events/s")
			b.ReportMetric(mean(theirs), "floor/s")
			b.ReportMetric(mean(ours)/mean(theirs), "of-floor")
		})
	}
}

func mean(rates []float64) float64 {
	sum := 0.0
	for _, rate := range rates {
		sum += rate
	}
	return sum / float64(len(rates))
}

// flow is calls of which the bridge tells one event after the other.
type flow struct {
	s        *stack.Stack
	bridge   *pgx.Conn
	sessions *pgx.Conn
	ids      []string
	told     int // events of each session so far
	logged   int64
}

func newFlow(b *testing.B, s *stack.Stack) *flow {
	b.Helper()
	f := &flow{s: s, ids: make([]string, flowSessions)}
	for conn, url := range map[**pgx.Conn]string{&f.bridge: s.BridgeDB.OwnerURL, &f.sessions: s.SessionsDB.OwnerURL} {
		opened, err := pgx.Connect(b.Context(), url)
		require.NoError(b, err)
		b.Cleanup(func() { _ = opened.Close(context.Background()) })
		*conn = opened
	}
	api := callplane.New(s.API.Base())
	b.Cleanup(api.Close)
	var creating errgroup.Group
	creating.SetLimit(loadWriters)
	for n := range f.ids {
		creating.Go(func() error {
			session, err := api.As(owner(n)).Create(b.Context(), callplane.NewSession{Kind: "audio"})
			f.ids[n] = session.SessionID
			return err
		})
	}
	require.NoError(b, creating.Wait())
	f.logged = flowSessions // each has begun
	f.rate(b, f.sealed(b, 0, 2))
	f.told = 2
	return f
}

// next returns the next events of all sessions.
func (f *flow) next(b *testing.B) []events.Sealed {
	b.Helper()
	all := f.sealed(b, f.told, f.told+flowEvents)
	f.told += flowEvents
	return all
}

// sealed returns the events of all sessions with these numbers: first somebody's joining, then tracks that they publish and take back.
func (f *flow) sealed(b *testing.B, from, to int) []events.Sealed {
	b.Helper()
	var all []events.Sealed
	for n := from; n < to; n++ {
		for i, id := range f.ids {
			one, err := events.Seal(events.DerivedID("flow", id, strconv.Itoa(n)), id, events.Draft{
				Timestamp: time.Now(), Actor: events.Actor{Type: events.ActorProvider, ID: "livekit"}, Payload: flowPayload(id, owner(i), n),
			})
			require.NoError(b, err)
			all = append(all, one)
		}
	}
	return all
}

func flowPayload(sessionID, user string, n int) events.Payload {
	room := events.ProviderRoom{Provider: "livekit", RoomName: "call-" + sessionID, RoomSID: "RM_1"}
	person := events.ProviderParticipant{Identity: user + "#default", UserID: user, ParticipantSID: "PA_1"}
	track := events.Track{TrackSID: fmt.Sprint("TR_", n/2), Kind: events.TrackAudio, Source: events.SourceMicrophone}
	switch {
	case n == 0:
		return events.CallConnectedPayload{ProviderRoom: room, ProviderParticipant: person}
	case n == 1:
		return events.CallParticipantJoinedPayload{ProviderRoom: room, ProviderParticipant: person, JoinedAt: events.At(time.Now())}
	case n%2 == 0:
		return events.CallTrackPublishedPayload{ProviderRoom: room, ProviderParticipant: person, Track: track}
	default:
		return events.CallTrackUnpublishedPayload{ProviderRoom: room, ProviderParticipant: person, Track: track}
	}
}

// rate has the bridge tell events, waits until all are in the logs, and returns how many a second got there.
func (f *flow) rate(b *testing.B, all []events.Sealed) float64 {
	b.Helper()
	rows := make([]outbox.Row, len(all))
	for i, one := range all {
		e := one.Envelope()
		rows[i] = outbox.Row{
			PartitionKey: e.SessionID, Exchange: topology.EventsExchange, RoutingKey: string(e.Type), MessageID: e.EventID,
			Headers: map[string]string{topology.HeaderSessionID: e.SessionID}, Body: one.JSON(),
		}
	}
	args := pgx.NamedArgs{}
	require.NoError(b, outbox.Arguments(b.Context(), args, rows...))
	_, err := f.bridge.Exec(b.Context(), outbox.InsertSQL, args)
	require.NoError(b, err)
	f.logged += int64(len(all))
	testkit.Eventually(b, flowPatience, func(ctx context.Context) error {
		var logged int64
		if err := f.sessions.QueryRow(ctx, "SELECT sum(last_seq) FROM sessions").Scan(&logged); err != nil || logged == f.logged {
			return err
		}
		return fmt.Errorf("the logs hold %d of %d events", logged, f.logged)
	})
	return committed(b, f.sessions, "SELECT logged_at FROM events ORDER BY logged_at DESC LIMIT $1", len(all))
}

// committed returns the rate of the last so many moments that a statement finds.
func committed(b *testing.B, db *pgx.Conn, statement string, count int) float64 {
	b.Helper()
	var took time.Duration
	require.NoError(b, db.QueryRow(b.Context(), `SELECT max(found.logged_at) - min(found.logged_at) FROM (`+statement+`) found`, count).Scan(&took))
	return float64(count-1) / took.Seconds()
}

// replicas has so many processes of each service run until the benchmark ends, and waits until the bridge's share the outbox.
func (f *flow) replicas(b *testing.B, count int, started func(b *testing.B, p *stack.Process)) {
	b.Helper()
	for range count - 1 {
		for _, p := range []*stack.Process{f.s.Sessions, f.s.Bridge} {
			port := testkit.FreePort(b)
			replica := p.With(map[string]string{"HTTP_ADDR": address(port), "ADMIN_ADDR": address(testkit.FreePort(b))})
			replica.Start(b)
			b.Cleanup(func() { require.Zero(b, replica.Stop(b), replica.Log()) })
			api := callplane.New("http://" + address(port))
			b.Cleanup(api.Close)
			testkit.Eventually(b, stack.Patience, func(ctx context.Context) error {
				status, body, err := api.Ready(ctx)
				if err == nil && status != http.StatusOK {
					err = fmt.Errorf("/readyz is %d: %s", status, body)
				}
				return err
			})
			if started != nil {
				started(b, replica)
			}
		}
	}
	testkit.Eventually(b, stack.Patience, func(ctx context.Context) error {
		var holders int
		err := f.bridge.QueryRow(ctx, "SELECT count(DISTINCT holder) FROM outbox_lanes").Scan(&holders)
		if err == nil && holders != count {
			err = fmt.Errorf("%d replicas have a share of the outbox", holders)
		}
		return err
	})
}
