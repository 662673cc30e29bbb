package portstest

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// StoreUnderTest is an empty store, and looks at what the port doesn't show.
type StoreUnderTest struct {
	Store      ports.SessionStore
	Outbox     func() []json.RawMessage   // what is to be published, in order
	Quarantine func() []ports.Quarantined // Event.EventID, Reason and Detail filled

	Memberships func(sessionID string) []ports.Membership // all that are and were, by user and in order
	LoggedAt    func(sessionID string) []time.Time        // when each event of a log was appended, by the store's clock, in the log's order
}

// SessionStore is the suite of ports.SessionStore. open is called once a test.
func SessionStore(t *testing.T, open func(t *testing.T) StoreUnderTest) {
	for name, test := range map[string]func(*testing.T, StoreUnderTest){
		"a session comes back as it was created":                testCreateAndGet,
		"strangers see nothing":                                 testStrangers,
		"a change is saved with its events":                     testUpdate,
		"members come, change and go":                           testMembers,
		"memberships are kept with where they begin and end":    testMemberships,
		"what is logged later has a later time":                 testLoggedAt,
		"a change that fails leaves nothing":                    testUpdateRollsBack,
		"a change of nothing saves nothing":                     testUpdateOfNothing,
		"a fact is taken in once":                               testTake,
		"what an altered or invalid fact says is set aside":     testQuarantine,
		"a fact whose decision fails leaves nothing":            testTakeRollsBack,
		"presence and tracks come back as they were":            testPresence,
		"what services say is logged and changes nothing":       testWhatServicesSay,
		"what was taken in and begins here is published":        testEntriesThatBeginHere,
		"billing is not shown to members":                       testBillingIsNotShownToMembers,
		"racing changes all count":                              testRacingUpdates,
		"racing copies of one fact are taken in once":           testRacingFacts,
		"pages follow a watermark and pass over other types":    testPages,
		"a watermark that the log does not hold is told":        testWatermarkGone,
		"a log replays to the state that the store holds":       testLogReplays,
		"a context that has ended ends the work without effect": testEndedContext,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func created(t *testing.T, s StoreUnderTest) ports.View {
	t.Helper()
	session, log := NewSession(t)
	view, err := s.Store.Create(t.Context(), session, log)
	require.NoError(t, err)
	return view
}

var errOnPurpose = errors.New("on purpose")

// equalSessions compares whole states.
func equalSessions(t *testing.T, want, got *domain.Session) {
	t.Helper()
	require.Equal(t, normalized(want.Snapshot()), normalized(got.Snapshot()))
}

// normalized makes empty and absent lists the same.
func normalized(s domain.Snapshot) domain.Snapshot {
	if len(s.Participants) == 0 {
		s.Participants = nil
	}
	for i := range s.Participants {
		if len(s.Participants[i].OpenTracks) == 0 {
			s.Participants[i].OpenTracks = nil
		}
	}
	return s
}

func retitle(t testing.TB, title string, at time.Time) func(*domain.Session) ([]ports.Entry, error) {
	return func(session *domain.Session) ([]ports.Entry, error) {
		drafts, err := session.Patch(domain.Patch{Title: events.Some(title)}, Alice, at)
		if err != nil {
			return nil, err
		}
		return Seal(t, session.ID(), drafts, at), nil
	}
}

func finish(t testing.TB, at time.Time) func(*domain.Session) ([]ports.Entry, error) {
	return func(session *domain.Session) ([]ports.Entry, error) {
		ended := events.StatusEnded
		drafts, err := session.Patch(domain.Patch{Status: &ended}, Alice, at)
		if err != nil {
			return nil, err
		}
		return Seal(t, session.ID(), drafts, at), nil
	}
}

// take delivers a fact as the use case does.
func take(ctx context.Context, t testing.TB, s StoreUnderTest, fact events.Accepted) (domain.Decision, error) {
	t.Helper()
	var decision domain.Decision
	err := s.Store.Take(ctx, fact, func(session *domain.Session, logged *domain.Digest) (ports.Intake, error) {
		if session == nil {
			decision = domain.Quarantine
			return ports.Intake{Quarantined: &ports.Quarantined{Event: fact, Reason: domain.QuarantineUnknownSession, At: Start}}, nil
		}
		now := Start.Add(time.Minute)
		verdict := session.Observe(fact, logged, now)
		decision = verdict.Decision
		switch verdict.Decision {
		case domain.Append:
			entry := ports.Entry{Event: fact.Envelope, JSON: fact.Raw, Digest: fact.Digest, AppendedAt: now}
			return ports.Intake{Entries: append([]ports.Entry{entry}, Seal(t, session.ID(), verdict.Drafts, now)...)}, nil
		case domain.Quarantine:
			return ports.Intake{Quarantined: &ports.Quarantined{Event: fact, Reason: verdict.Reason, Detail: verdict.Detail, At: now}}, nil
		default:
			return ports.Intake{}, nil
		}
	})
	return decision, err
}

func mustTake(t *testing.T, s StoreUnderTest, want domain.Decision, fact events.Accepted) {
	t.Helper()
	decision, err := take(t.Context(), t, s, fact)
	require.NoError(t, err)
	require.Equal(t, want, decision)
}

func viewerOf(user string) ports.Viewer { return ports.Viewer{UserID: user} }

// logOf reads a whole log, page by page.
func logOf(t *testing.T, s StoreUnderTest, id string, limit int) []events.Envelope {
	t.Helper()
	var log []events.Envelope
	after := ""
	for {
		page, err := s.Store.Events(t.Context(), ports.System(), id, ports.PageRequest{After: after, Limit: limit})
		require.NoError(t, err)
		require.LessOrEqual(t, len(page.Items), limit)
		for _, item := range page.Items {
			var envelope events.Envelope
			require.NoError(t, json.Unmarshal(item, &envelope))
			log = append(log, envelope)
		}
		after = page.LastEventID
		if !page.HasMore {
			return log
		}
	}
}

func typesOf(log []events.Envelope) []events.Type {
	types := make([]events.Type, len(log))
	for i, e := range log {
		types[i] = e.Type
	}
	return types
}
