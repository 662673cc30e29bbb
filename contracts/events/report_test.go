package events_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
)

// aReport is a transcript as a caller of the API gives it.
func aReport() events.Report {
	return events.Report{
		EventID: "0190a000-0000-7000-8000-000000000002", SessionID: "0190a000-0000-7000-8000-000000000001",
		Timestamp: events.Timestamp(time.Date(2026, 5, 1, 14, 0, 0, 0, time.FixedZone("", 7200))), Type: events.TranscriptFinal,
		Actor: events.Actor{Type: events.ActorService, ID: "orchestrator"},
		Payload: json.RawMessage(`{"segmentId":"a","sequence":1,"revision":1,"speaker":null,"trackSid":null,"language":null,"text":"<x>",
			"startedAt":"2026-05-01T12:00:00Z","endedAt":"2026-05-01T12:00:01Z","confidence":0.50}`),
	}
}

func TestAReportBecomesAnEventThatEverybodyTakes(t *testing.T) {
	for _, version := range []string{"", "1.0", "1.9"} {
		report := aReport()
		report.Version = version
		if version == "1.9" {
			report.Payload = json.RawMessage(strings.Replace(string(report.Payload), "{", `{"mood":1.0,`, 1))
		}
		sealed, err := events.SealReport(report)
		require.NoError(t, err, version)
		require.Equal(t, "2026-05-01T12:00:00Z", sealed.Envelope().Timestamp)
		require.Contains(t, string(sealed.JSON()), `"confidence":0.50`)
		require.NotContains(t, string(sealed.JSON()), "\n", "it is compact")
		accepted, err := events.Accept(events.Delivery{
			Body: sealed.JSON(), RoutingKey: string(report.Type), MessageID: report.EventID, UserID: events.ProducerSessions, SessionHeader: report.SessionID,
		})
		require.NoError(t, err, version)
		require.Equal(t, accepted.Digest, sealed.Digest())
		require.Equal(t, accepted.Envelope, sealed.Envelope())
		digest, err := events.DigestOf([]byte(" " + string(sealed.JSON())))
		require.NoError(t, err)
		require.Equal(t, accepted.Digest, digest)
	}
	_, err := events.DigestOf([]byte("{"))
	require.Error(t, err)
}

func TestWhatIsWrongWithAReportIsToldAtOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(*events.Report)
		want  []string
	}{
		"unknown type":     {func(r *events.Report) { r.Type = "call.sung" }, []string{"/type"}},
		"no version":       {func(r *events.Report) { r.Version = "one" }, []string{"/version"}},
		"newer major":      {func(r *events.Report) { r.Version = "2.0" }, []string{"/version"}},
		"no payload":       {func(r *events.Report) { r.Payload = nil }, []string{"/payload"}},
		"no JSON":          {func(r *events.Report) { r.Payload = json.RawMessage("{") }, []string{"/payload"}},
		"a name twice":     {func(r *events.Report) { r.Payload = json.RawMessage(`{"a":1,"a":2}`) }, []string{"/payload"}},
		"of another actor": {func(r *events.Report) { r.Actor.Type = events.ActorUser }, []string{"/actor/type"}},
		"too large": {func(r *events.Report) {
			r.Payload = json.RawMessage(`{"text":"` + strings.Repeat("x", events.MaxSize) + `"}`)
		}, []string{"/payload"}},
		"several": {func(r *events.Report) {
			r.Timestamp = "today"
			r.Payload = json.RawMessage(strings.NewReplacer("0.50", "7", `"a"`, `""`).Replace(string(r.Payload)))
		}, []string{"/payload/confidence", "/payload/segmentId", "/timestamp"}},
	} {
		report := aReport()
		tc.spoil(&report)
		_, err := events.SealReport(report)
		var invalid *events.InvalidReportError
		require.True(t, errors.As(err, &invalid), name)
		told := map[string]bool{}
		for _, fault := range invalid.Faults {
			told[fault.Pointer] = true
			require.NotEmpty(t, fault.Rule)
			require.Contains(t, err.Error(), fault.Pointer)
		}
		want := map[string]bool{}
		for _, pointer := range tc.want {
			want[pointer] = true
		}
		require.Equal(t, want, told, name)
	}
}
