//go:build integration

package wiring

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/testkit"
)

const (
	benchedMappings = 10_000
	toldRooms       = 1_000 // of which webhooks come
	toldRate        = 200   // webhooks a second
)

// seedCalls stores calls as they are after the first burst of their webhooks: alice and bob are in
// them, and alice publishes a track.
const seedCalls = `
WITH ids AS (SELECT id, CAST(@start AS timestamptz) AS at FROM json_array_elements_text(CAST(@ids AS json)) id), m AS (
	INSERT INTO mappings (session_id, room_name, session_version, final, revision, episode, room_phase, room_sid, first_room_sid,
			room_created_at, connecting_at, connected_at, last_left_lost)
		SELECT id::uuid, 'call-' || id, 1, false, 4, 2, 'open', 'RM_' || id, 'RM_' || id, at, at, at + interval '2 ms', false
		FROM ids
), members AS (
	INSERT INTO members SELECT id::uuid, who, 'participant', 1, false FROM ids, unnest(array['alice', 'bob']) who
), people AS (
	INSERT INTO participants (session_id, identity, user_id, device_id, presence, participant_sid, joined_at, episode)
		SELECT id::uuid, who || '#default', who, 'default', 'present', 'PA_' || id || '_' || n + 1, at + (n + 1) * interval '1 ms', n
		FROM ids, unnest(array['alice', 'bob']) WITH ORDINALITY person (who, n)
)
INSERT INTO tracks (session_id, identity, track_sid, kind, source, name, mime_type, published_at, open)
	SELECT id::uuid, 'alice#default', 'TR_' || id || '_4', 'audio', 'microphone', '', 'audio/opus', at + interval '4 ms', true FROM ids`

// BenchmarkWebhooksDuringReconciliation tells how long webhooks take while nothing else happens,
// and while ten thousand calls are compared with LiveKit again and again; and how long one such
// comparison takes. It is one run, however long -benchtime is.
func BenchmarkWebhooksDuringReconciliation(b *testing.B) {
	a := newAlone(b)
	stop := a.start(b, "RECONCILE_INTERVAL=0")
	ids, calls := a.seed(b)
	b.ResetTimer()

	a.tell(b, calls, 1, "alone-")
	stop()
	a.start(b, "RECONCILE_INTERVAL=1s")
	before := a.compared(b, 0)
	asked, began := a.livekit.asked(), time.Now()
	a.tell(b, calls, 2, "during-")
	completed := a.compared(b, before) - before
	b.ReportMetric(time.Since(began).Seconds()/float64(completed), "s/comparison")
	b.ReportMetric(float64(a.livekit.asked()-asked)/time.Since(began).Seconds(), "LiveKit-calls/s")
	b.ReportMetric(0, "ns/op")

	want := []events.Type{unpublished, left, joined, published, unpublished, left, joined, published}
	testkit.Eventually(b, time.Minute, func(context.Context) error {
		if a.sessions.count() < toldRooms*len(want) {
			return errors.New("events are still to come")
		}
		return nil
	})
	for _, id := range ids[:toldRooms] {
		require.Equal(b, want, a.sessions.types(id))
	}
	require.Equal(b, toldRooms*len(want), a.count(`SELECT count(*) FROM outbox`), "a comparison that finds nothing says nothing")
}

// seed has ten thousand calls go on, in the database and at LiveKit, and returns their sessions and
// the webhooks that each has still to come.
func (a *alone) seed(b *testing.B) (ids []string, calls [][][]webhook) {
	b.Helper()
	start := time.Now().UTC().Truncate(time.Millisecond)
	ids, calls = make([]string, benchedMappings), make([][][]webhook, benchedMappings)
	recorded := templates(b)
	for n := range ids {
		ids[n] = newSession(b)
		calls[n] = bursts(b, recorded, ids[n], start, 2)
		for _, w := range calls[n][0] {
			a.livekit.told(w.event)
		}
	}
	encoded, err := json.Marshal(ids)
	require.NoError(b, err)
	require.NoError(b, a.db.Exec(seedCalls, map[string]any{"ids": string(encoded), "start": start}).Error)
	require.NoError(b, a.db.Exec("ANALYZE").Error)
	return ids, calls
}

// BenchmarkBrokenRooms tells how old the last look at each healthy room is while LiveKit answers
// errors for one room in a hundred of ten thousand, and calls are compared each 15 s. It is one
// run, however long -benchtime is.
func BenchmarkBrokenRooms(b *testing.B) {
	a := newAlone(b)
	stop := a.start(b, "RECONCILE_INTERVAL=0")
	ids, _ := a.seed(b)
	stop()
	for n := 0; n < len(ids); n += 100 {
		a.livekit.breakRooms("call-" + ids[n])
	}
	b.ResetTimer()
	a.start(b, "RECONCILE_INTERVAL=15s")
	var worst []time.Duration // the oldest looks, just before each pass is completed
	completed := 0
	for range 4 {
		completed = a.compared(b, completed)
		if ages := a.livekit.ages(); completed > 1 {
			worst = append(worst, ages[len(ages)-1])
		}
	}
	ages := a.livekit.ages()
	b.ReportMetric(ages[len(ages)/2].Seconds(), "s-age-p50")
	b.ReportMetric(ages[len(ages)*99/100].Seconds(), "s-age-p99")
	b.ReportMetric(slices.Max(worst).Seconds(), "s-age-max")
	b.ReportMetric(0, "ns/op")
	require.Len(b, ages, benchedMappings*99/100)
	require.Zero(b, a.count(`SELECT count(*) FROM outbox`), "a comparison that finds nothing emits nothing")
}

// compared returns how many comparisons are completed, when there are more than so many.
func (a *alone) compared(b *testing.B, than int) (completed int) {
	b.Helper()
	testkit.Eventually(b, 2*time.Minute, func(context.Context) error {
		if completed = a.count(`SELECT completed FROM reconciliation`); completed <= than {
			return errors.New("no comparison is completed")
		}
		return nil
	})
	return completed
}

// tell sends a burst of each of the first rooms, and reports how long it took.
func (a *alone) tell(b *testing.B, calls [][][]webhook, which int, prefix string) {
	b.Helper()
	s, began := a.sender(b), time.Now()
	var running sync.WaitGroup
	for n, call := range calls[:toldRooms] {
		running.Go(func() {
			s.room(b.Context(), call[which:which+1], func(int) time.Time { return began.Add(time.Duration(n) * time.Second * burst / toldRate) })
		})
	}
	running.Wait()
	s.answers.report(b, prefix)
}
