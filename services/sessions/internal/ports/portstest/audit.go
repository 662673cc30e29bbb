package portstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// AuditUnderTest is an empty store, and those who look at it.
type AuditUnderTest struct {
	StoreUnderTest
	Audit     ports.Audit
	SetsAside ports.Quarantine
}

// Audit is the suite of ports.Audit and ports.Quarantine. open is called once a test.
func Audit(t *testing.T, open func(t *testing.T) AuditUnderTest) {
	for name, test := range map[string]func(*testing.T, AuditUnderTest){
		"a session is examined with its log at one moment": testExamine,
		"sessions are gone through in order":               testSessionIDs,
		"what was set aside is listed, the latest first":   testListQuarantined,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func testExamine(t *testing.T, s AuditUnderTest) {
	id, log := aCall(t, s.StoreUnderTest)
	view, err := s.Store.Get(t.Context(), ports.System(), id)
	require.NoError(t, err)
	err = s.Audit.Examine(t.Context(), id, func(examined ports.Examined) error {
		mustTake(t, s.StoreUnderTest, domain.Append, Said(t, id, NewID(t), Spoken("later"))) // as others go on meanwhile
		require.Equal(t, normalized(view.Session.Snapshot()), normalized(examined.Stored))
		require.EqualValues(t, len(log), examined.LastSeq)
		require.Equal(t, view.LastEventID, examined.LastEventID)
		var rows []ports.LogRow
		var replayer domain.Replayer
		for row, err := range examined.Log {
			require.NoError(t, err)
			rows = append(rows, row)
			e := log[row.Seq-1]
			require.Equal(t, e.EventID, row.EventID)
			require.Equal(t, e.Type, row.Type)
			require.Equal(t, time.UTC, row.AppendedAt.Location())
			require.NoError(t, replayer.Add(domain.Logged{Envelope: e, AppendedAt: row.AppendedAt}))
		}
		require.Len(t, rows, len(log), "what came later is not of this moment")
		replayed, err := replayer.Snapshot()
		require.NoError(t, err)
		require.Empty(t, domain.Differences(examined.Stored, replayed))
		return errOnPurpose
	})
	require.ErrorIs(t, err, errOnPurpose)
	err = s.Audit.Examine(t.Context(), NewID(t), func(ports.Examined) error { return errOnPurpose })
	require.ErrorIs(t, err, domain.ErrNotFound)
}

func testSessionIDs(t *testing.T, s AuditUnderTest) {
	want := map[string]bool{}
	for range 5 {
		want[created(t, s.StoreUnderTest).Session.ID()] = true
	}
	after, found := "", map[string]bool{}
	for {
		ids, err := s.Audit.SessionIDs(t.Context(), after, 2)
		require.NoError(t, err)
		for _, id := range ids {
			require.Greater(t, id, after)
			after, found[id] = id, true
		}
		if len(ids) < 2 {
			break
		}
	}
	require.Equal(t, want, found)
}

func testListQuarantined(t *testing.T, s AuditUnderTest) {
	list, err := s.SetsAside.ListQuarantined(t.Context(), ports.QuarantineRequest{Limit: 10})
	require.NoError(t, err)
	require.Empty(t, list)
	id, nowhere := created(t, s.StoreUnderTest).Session.ID(), NewID(t)
	var want []ports.SetAside
	for i, of := range []string{nowhere, id, nowhere, id} {
		fact := Fact(t, of, NewID(t), Left(of, "bob"))
		q := ports.Quarantined{Event: fact, Reason: domain.QuarantinePresence, Detail: "detail", At: Start.Add(time.Duration(i) * time.Minute)}
		err := s.Store.Take(t.Context(), fact, func(*domain.Session, *domain.Digest) (ports.Intake, error) { return ports.Intake{Quarantined: &q}, nil })
		require.NoError(t, err)
		want = append([]ports.SetAside{{SessionID: of, EventID: fact.EventID, Type: fact.Type, Reason: q.Reason, Detail: q.Detail, At: q.At}}, want...)
	}
	list, err = s.SetsAside.ListQuarantined(t.Context(), ports.QuarantineRequest{Limit: 10})
	require.NoError(t, err)
	require.Equal(t, want, list)
	list, err = s.SetsAside.ListQuarantined(t.Context(), ports.QuarantineRequest{SessionID: id, Limit: 1})
	require.NoError(t, err)
	require.Equal(t, want[:1], list)
}
