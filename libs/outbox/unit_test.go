package outbox

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"
	"pgregory.net/rapid"

	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/rabbitmq"
)

func TestLanesAreSharedEvenly(t *testing.T) {
	cases := []struct {
		relays []string
		want   []int
	}{
		{[]string{"a"}, []int{4}},
		{[]string{"a", "b"}, []int{2, 2}},
		{[]string{"a", "b", "c"}, []int{2, 1, 1}},
		{[]string{"a", "b", "c", "d"}, []int{1, 1, 1, 1}},
		{[]string{"a", "b", "c", "d", "e"}, []int{1, 1, 1, 1, 0}},
	}
	for _, c := range cases {
		for i, relay := range c.relays {
			others := append(append([]string{}, c.relays[i:]...), c.relays[:i]...) // in any order
			assert.Equal(t, c.want[i], shareOf(relay, others), "%s of %v", relay, c.relays)
		}
	}
	assert.Equal(t, 2, shareOf("new", []string{"a"}), "one that the list lacks yet counts")
}

func TestLanesAreUsedAlike(t *testing.T) {
	const keys = 4000
	count := map[int16]int{}
	for n := range keys {
		count[Lane(fmt.Sprint("key-", n))]++
	}
	for lane := range int16(Lanes) {
		assert.InDelta(t, keys/Lanes, count[lane], keys/Lanes/5)
	}
	assert.Equal(t, Lane("a"), Lane("a"))
}

func TestRowsThatNobodyCouldPublishAreRefused(t *testing.T) {
	good := Row{PartitionKey: "k", Exchange: "e", RoutingKey: "r", MessageID: "5f3e1d5e-1f4b-4f9a-8d0d-2f8d3ff1b1aa", Body: []byte("{}")}
	for what, break_ := range map[string]func(*Row){
		"partition key":           func(r *Row) { r.PartitionKey = "" },
		"exchange or routing key": func(r *Row) { r.Exchange = "" },
		"routing key":             func(r *Row) { r.RoutingKey = "" },
		"message id":              func(r *Row) { r.MessageID = "1" },
		"body":                    func(r *Row) { r.Body = nil },
	} {
		bad := good
		break_(&bad)
		_, err := Add(t.Context(), &postgres.Pipeline{}, good, bad)
		require.ErrorContains(t, err, "row 2 of 2")
		require.ErrorContains(t, err, what)
	}
	other := good
	other.PartitionKey = "another"
	_, err := Add(t.Context(), &postgres.Pipeline{}, good, other)
	require.ErrorContains(t, err, "more than one partition key")
}

func TestARelayNeedsItsParts(t *testing.T) {
	_, err := NewRelay(Options{DB: &gorm.DB{}, Holder: "a"})
	require.Error(t, err)
}

// flaky confirms or fails each message as its script says, and checks what it is given.
type flaky struct {
	t         *rapid.T
	outcome   func() error
	rows      map[string]unpublished // by message id
	confirmed map[string][]int64     // ids by key, in the order of their confirms
	failed    map[string]bool        // keys of which one has failed
}

func (f *flaky) PublishBatch(_ context.Context, messages []rabbitmq.Message) []error {
	errs := make([]error, len(messages))
	onTheWay := map[string]bool{}
	for i, m := range messages {
		row := f.rows[m.ID]
		if f.failed[row.PartitionKey] {
			f.t.Fatalf("row %d is sent although one before it of its key has failed", row.ID)
		}
		if onTheWay[row.PartitionKey] {
			f.t.Fatalf("row %d is sent while one before it of its key is not confirmed", row.ID)
		}
		onTheWay[row.PartitionKey] = true
		if errs[i] = f.outcome(); errs[i] != nil {
			defer func() { f.failed[row.PartitionKey] = true }()
			continue
		}
		f.confirmed[row.PartitionKey] = append(f.confirmed[row.PartitionKey], row.ID)
	}
	return errs
}

// For every mix of keys and failures: a row is sent only after the one before it of its key is confirmed, what is reported is exactly
// what was confirmed, and without failures everything is sent.
func TestPublishingKeepsTheOrderOfEveryKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		keys := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 40).Draw(t, "keys")
		kinds := []error{nil, nil, nil, nil, rabbitmq.ErrNacked, rabbitmq.ErrUnroutable, rabbitmq.ErrUnconfirmed, rabbitmq.ErrUnavailable, rabbitmq.ErrRefused}
		if rapid.Bool().Draw(t, "healthy") {
			kinds = []error{nil}
		}
		f := &flaky{t: t, rows: map[string]unpublished{}, confirmed: map[string][]int64{}, failed: map[string]bool{}}
		f.outcome = func() error {
			if err := rapid.SampledFrom(kinds).Draw(t, "outcome"); err != nil {
				return fmt.Errorf("wrapped: %w", err)
			}
			return nil
		}
		rows := make([]unpublished, len(keys))
		for i, key := range keys {
			rows[i] = unpublished{ID: int64(i + 1), PartitionKey: key, MessageID: fmt.Sprint("m", i), Headers: "{}"}
			f.rows[rows[i].MessageID] = rows[i]
		}
		w := newWorker(&Relay{opts: Options{Publisher: f}}, 0, 1)
		defer w.quit()
		published, failure := w.publish(context.Background(), rows)
		var confirmed []int64
		for key, ids := range f.confirmed {
			confirmed = append(confirmed, ids...)
			next := 0
			for _, row := range rows { // the confirmed ones are the first of their key
				if row.PartitionKey == key && next < len(ids) {
					if ids[next] != row.ID {
						t.Fatalf("key %s: confirmed %v", key, ids)
					}
					next++
				}
			}
		}
		assert.ElementsMatch(t, confirmed, published)
		if len(f.failed) == 0 {
			require.NoError(t, failure)
			assert.Len(t, published, len(rows))
		} else {
			require.Error(t, failure)
		}
	})
}

func TestHeadersThatCannotBeReadAreAFailureNotALoss(t *testing.T) {
	w := newWorker(&Relay{opts: Options{Publisher: &flaky{}}}, 0, 1)
	defer w.quit()
	published, err := w.publish(t.Context(), []unpublished{{ID: 7, PartitionKey: "a", Headers: "[1]"}})
	require.ErrorContains(t, err, "row 7")
	assert.Empty(t, published)
	assert.False(t, errors.Is(err, errLaneLost))
}
