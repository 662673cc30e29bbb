package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/uuid"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/rabbitmq"
)

// course notes what is done with one message, in order.
type course []string

func (c *course) Ack(uint64, bool) error        { *c = append(*c, "acknowledged"); return nil }
func (c *course) Nack(uint64, bool, bool) error { *c = append(*c, "refused"); return nil }
func (c *course) Reject(uint64, bool) error     { *c = append(*c, "refused"); return nil }

func (c *course) PublishBatch(_ context.Context, messages []rabbitmq.Message) []error {
	*c = append(*c, messages[0].Key)
	return make([]error, len(messages))
}

// delivery is a message that is settled through the course.
func delivery(c *course, said events.Sealed) amqp.Delivery {
	e := said.Envelope()
	return amqp.Delivery{
		Acknowledger: c, Body: said.JSON(), RoutingKey: string(e.Type), MessageId: e.EventID, UserId: orchestrator,
		Headers: amqp.Table{topology.HeaderSessionID: e.SessionID},
	}
}

// against gives a follower whose sessions is the handler.
func against(t *testing.T, c *course, sessions http.HandlerFunc) follower {
	t.Helper()
	server := httptest.NewServer(sessions)
	t.Cleanup(server.Close)
	discard := slog.New(slog.DiscardHandler)
	checkpoints := newCheckpoints(settings{APIURL: server.URL, APIUser: orchestrator}, discard)
	t.Cleanup(checkpoints.close)
	return follower{name: orchestrator, publisher: c, keep: checkpoints.keep, log: discard}
}

func TestAMessageIsAcknowledgedAfterItsCheckpoint(t *testing.T) {
	var done course
	answers := []int{http.StatusServiceUnavailable, http.StatusNotFound, http.StatusForbidden, http.StatusOK}
	f := against(t, &done, func(w http.ResponseWriter, _ *http.Request) {
		done = append(done, http.StatusText(answers[0]))
		w.WriteHeader(answers[0])
		answers = answers[1:]
	})
	said := transcript(t, uuid.Must(uuid.NewV7()).String(), "remind me", 1)
	require.NoError(t, f.one(t.Context(), delivery(&done, said)))
	require.Equal(t, course{
		"action.proposed", "action.executed", "Service Unavailable", "Not Found", "Forbidden", "OK", "acknowledged",
	}, done)
}

func TestAMessageWithoutItsCheckpointStaysUnacknowledged(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var done course
	asked := 0
	f := against(t, &done, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusNotFound)
		if asked++; asked == 3 {
			cancel()
		}
	})
	said := transcript(t, uuid.Must(uuid.NewV7()).String(), "good", 1)
	require.ErrorIs(t, f.one(ctx, delivery(&done, said)), context.Canceled)
	require.Empty(t, done)
}

func TestWhatNoLogWillHoldHoldsNothingUp(t *testing.T) {
	for name, refusal := range map[string]struct {
		status int
		code   string
	}{
		"a session that does not exist": {http.StatusNotFound, "session_not_found"},
		"an event that was set aside":   {http.StatusGone, "watermark_gone"},
	} {
		t.Run(name, func(t *testing.T) {
			var done course
			f := against(t, &done, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(refusal.status)
				_, _ = io.WriteString(w, `{"code":"`+refusal.code+`"}`)
			})
			said := transcript(t, uuid.Must(uuid.NewV7()).String(), "good", 1)
			require.NoError(t, f.one(t.Context(), delivery(&done, said)))
			require.Equal(t, course{"acknowledged"}, done)
		})
	}
}
