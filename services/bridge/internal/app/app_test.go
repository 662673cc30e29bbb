package app_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/adapters/memory"
	"github.com/callplane/callplane/services/bridge/internal/app"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const session = "0198a3c0-5f00-7000-8000-00000000000a"

var (
	moment = time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	policy = domain.Policy{Grace: window, DepartureTimeout: 20 * time.Second, EmptyTimeout: 5 * time.Minute}
)

// bench is the use cases on a store in memory, with everything they tell others written down.
type bench struct {
	t      *testing.T
	store  *memory.Store
	tally  *tally
	nudges ports.Nudges
	tokens *tokens
}

// tally keeps what was counted, each as "what:label,label".
type tally struct {
	mu   sync.Mutex
	seen []string
}

func (c *tally) note(parts ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = append(c.seen, strings.Join(parts, ":"))
}

func (c *tally) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := c.seen
	c.seen = nil
	return seen
}

func (c *tally) Webhook(kind, outcome string) { c.note("webhook", kind, outcome) }
func (c *tally) Refused(reason string)        { c.note("refused", reason) }
func (c *tally) Token(outcome string)         { c.note("token", outcome) }
func (c *tally) Presence(outcome string)      { c.note("presence", outcome) }
func (c *tally) SessionEvent(kind string)     { c.note("session", kind) }
func (c *tally) RoomDeletion(outcome string)  { c.note("deletion", outcome) }
func (c *tally) Enforcement(k, o string)      { c.note("enforcement", k, o) }
func (c *tally) EventMade(kind string)        { c.note("event", kind) }
func (c *tally) EmissionRefused(kind string)  { c.note("emission refused", kind) }
func (c *tally) Window(outcome string)        { c.note("window", outcome) }
func (c *tally) Reconciliation(o string)      { c.note("reconciliation", o) }
func (c *tally) Reconciled(time.Duration)     {}
func (c *tally) Difference(kind string)       { c.note("difference", kind) }
func (c *tally) ProviderReachable(bool)       {}
func (c *tally) RoomsUnanswered(int)          {}
func (c *tally) RoomsUndeleted(n int)         { c.note("undeleted", strconv.Itoa(n)) }
func (c *tally) ClockOffset(time.Duration)    {}

// tokens hands out a token that nobody could mistake for another one.
type tokens struct {
	granted []ports.TokenGrant
	fail    error
}

func (f *tokens) Issue(g ports.TokenGrant) (commands.JoinToken, string, time.Time, error) {
	f.granted = append(f.granted, g)
	return commands.NewJoinToken("the-token"), "wss://live.example", moment.Add(g.TTL), f.fail
}

func setup(t *testing.T) *bench {
	b := &bench{t: t, store: memory.NewStore(time.Now), tally: &tally{}, tokens: &tokens{}}
	b.nudges = ports.Nudges{
		DeleteRooms: func() { b.tally.note("nudge", "delete") },
		Enforce:     func() { b.tally.note("nudge", "enforce") },
		Expire:      func() { b.tally.note("nudge", "expire") },
	}
	return b
}

func (b *bench) webhook(w ports.Webhook) error {
	return app.HandleWebhook{Mappings: b.store, Tally: b.tally, Nudges: b.nudges, Now: func() time.Time { return moment }, Policy: policy}.Do(b.t.Context(), w)
}

func (b *bench) token(change func(*commands.TokenIssue)) (commands.TokenIssued, error) {
	c := commands.TokenIssue{
		CommandID: uuid.NewString(), SessionID: session, SessionVersion: 1, UserID: "alice", Role: events.RoleHost,
		TTLSeconds: 600, Kind: events.KindVideo, IssuedAt: events.At(moment),
	}
	if change != nil {
		change(&c)
	}
	return app.IssueToken{Mappings: b.store, Tokens: b.tokens, Tally: b.tally, Nudges: b.nudges}.Do(b.t.Context(), c)
}

func (b *bench) follow(p events.Payload) error {
	b.t.Helper()
	sealed, err := events.Seal(uuid.NewString(), session, events.Draft{Timestamp: moment, Actor: events.Actor{Type: events.ActorUser, ID: "alice"}, Payload: p})
	require.NoError(b.t, err)
	return app.ApplySessionEvent{Mappings: b.store, Tally: b.tally, Nudges: b.nudges}.Do(b.t.Context(), sealed.Envelope())
}

func (b *bench) state() domain.State {
	b.t.Helper()
	var s domain.State
	require.NoError(b.t, b.store.ChangeSession(b.t.Context(), session, func(m domain.Mapping) (ports.Change, error) {
		s = m.State()
		return ports.Change{Mapping: m}, nil
	}))
	return s
}

func joinedBy(identity, id string) ports.Webhook {
	return ports.Webhook{ID: id, Kind: "participant_joined", RoomName: domain.RoomName(session), Fact: domain.ParticipantJoined{
		Observation: domain.Observation{Room: domain.RoomRef{Name: domain.RoomName(session), SID: "RM_1", CreatedAt: moment}, At: moment},
		Connection:  domain.Connection{Identity: identity, SID: "PA_" + id, JoinedAt: moment},
	}}
}

func failureOf(t *testing.T, err error) *commands.Failure {
	t.Helper()
	var failure *commands.Failure
	require.ErrorAs(t, err, &failure)
	return failure
}

func unavailable() error { return errors.Join(errors.New("connection refused"), ports.ErrUnavailable) }

func TestAWebhookIsTakenInOnce(t *testing.T) {
	b := setup(t)
	_, err := b.token(nil)
	require.NoError(t, err)
	b.tally.take()
	require.NoError(t, b.webhook(joinedBy("alice#default", "EV_1")))
	require.Equal(t, []string{
		"webhook:participant_joined:applied", "event:call.connecting", "event:call.connected", "event:call.participant.joined",
	}, b.tally.take())
	require.NoError(t, b.webhook(joinedBy("alice#default", "EV_1")))
	require.NoError(t, b.webhook(joinedBy("mallory#default", "EV_2")))
	require.NoError(t, b.webhook(ports.Webhook{ID: "EV_3", Kind: "egress_started", RoomName: domain.RoomName(session)}))
	elsewhere := joinedBy("alice#default", "EV_4")
	elsewhere.RoomName = "somebody-elses"
	require.NoError(t, b.webhook(elsewhere))
	require.Equal(t, []string{
		"webhook:participant_joined:repeated", "webhook:participant_joined:unmapped", "webhook:egress_started:noted", "webhook:participant_joined:unknown_room",
	}, b.tally.take())
	require.Len(t, b.store.Events(), 3)
	require.Len(t, b.store.Receipts(), 4)
}

func TestAWebhookThatCannotBeStoredComesAgain(t *testing.T) {
	b := setup(t)
	_, err := b.token(nil)
	require.NoError(t, err)
	b.store.Fail(unavailable())
	require.ErrorIs(t, b.webhook(joinedBy("alice#default", "EV_1")), ports.ErrUnavailable)
	b.store.Fail(nil)
	require.NoError(t, b.webhook(joinedBy("alice#default", "EV_1")))
	require.Len(t, b.store.Events(), 3)
}

// TestAnEventThatBreaksItsContractIsNotStored: neither it nor what it was about, and it is counted.
func TestAnEventThatBreaksItsContractIsNotStored(t *testing.T) {
	b := setup(t)
	_, err := b.token(nil)
	require.NoError(t, err)
	b.tally.take()
	before := b.state()
	err = b.webhook(joinedBy("alice#default", "sid with spaces"))
	var invalid *events.InvalidEventError
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "/payload/participantSid", invalid.Pointer)
	require.ErrorContains(t, err, "/payload/participantSid")
	require.Equal(t, []string{"emission refused:call.connected"}, b.tally.take())
	require.Equal(t, before, b.state())
	require.Empty(t, b.store.Events())
	require.Empty(t, b.store.Receipts())
}

func TestATokenIsMappedBeforeItLeaves(t *testing.T) {
	b := setup(t)
	device, name := "phone", "Alice A."
	issued, err := b.token(func(c *commands.TokenIssue) { c.DeviceID, c.DisplayName = &device, &name })
	require.NoError(t, err)
	require.Equal(t, "the-token", issued.Token.Reveal())
	require.Equal(t, "wss://live.example", issued.URL)
	require.Equal(t, domain.RoomName(session), issued.RoomName)
	require.Equal(t, "alice#phone", issued.Identity)
	require.Equal(t, events.ProviderLiveKit, issued.Provider)
	require.Equal(t, events.At(moment.Add(10*time.Minute)), issued.ExpiresAt)
	require.Equal(t, []ports.TokenGrant{{
		RoomName: domain.RoomName(session), Grant: domain.Grant{Identity: "alice#phone", UserID: "alice", Role: events.RoleHost},
		DisplayName: name, TTL: 10 * time.Minute,
	}}, b.tokens.granted)
	require.Contains(t, b.state().Participants, "alice#phone")
	again, err := b.token(func(c *commands.TokenIssue) { c.DeviceID = &device })
	require.NoError(t, err)
	require.Equal(t, issued, again)
	require.Equal(t, []string{"token:issued", "token:issued"}, b.tally.take())
}

func TestTokensAreRefusedWithAReason(t *testing.T) {
	hash := "a#b"
	cases := map[string]struct {
		prepare func(b *bench)
		change  func(c *commands.TokenIssue)
		code    commands.Code
		retry   bool
	}{
		"final": {func(b *bench) {
			require.NoError(b.t, b.follow(events.CallEndedPayload{Reason: "cancelled", SessionVersion: 2, EndedAt: events.At(moment)}))
		}, nil, commands.SessionFinal, false},
		"devices": {func(b *bench) {
			for _, device := range []string{"1", "2", "3", "4", "5"} {
				_, err := b.token(func(c *commands.TokenIssue) { c.DeviceID = &device })
				require.NoError(b.t, err)
			}
		}, nil, commands.DeviceLimit, false},
		"removed": {func(b *bench) {
			require.NoError(b.t, b.follow(events.CallMemberRemovedPayload{UserID: "alice", SessionVersion: 2}))
		}, nil, commands.StaleCommand, true},
		"too short":      {nil, func(c *commands.TokenIssue) { c.TTLSeconds = 29 }, commands.InvalidCommand, false},
		"too long":       {nil, func(c *commands.TokenIssue) { c.TTLSeconds = 3601 }, commands.InvalidCommand, false},
		"odd device":     {nil, func(c *commands.TokenIssue) { c.DeviceID = &hash }, commands.InvalidCommand, false},
		"database away":  {func(b *bench) { b.store.Fail(unavailable()) }, nil, commands.Unavailable, true},
		"out of time":    {func(b *bench) { b.store.Fail(context.DeadlineExceeded) }, nil, commands.Unavailable, true},
		"our own fault":  {func(b *bench) { b.store.Fail(errors.New("a bug")) }, nil, commands.Internal, false},
		"no token to be": {func(b *bench) { b.tokens.fail = errors.New("no key") }, nil, commands.Internal, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			if tc.prepare != nil {
				tc.prepare(b)
			}
			b.tally.take()
			_, err := b.token(tc.change)
			failure := failureOf(t, err)
			require.Equal(t, tc.code, failure.Code)
			require.Equal(t, tc.retry, failure.Retryable)
			require.Equal(t, []string{"token:" + string(tc.code)}, b.tally.take())
		})
	}
}

func TestSessionsAreFollowed(t *testing.T) {
	b := setup(t)
	require.NoError(t, b.follow(events.CallCreatedPayload{
		OwnerID: "alice", Kind: events.KindVideo, Provider: events.ProviderLiveKit, Metadata: []byte(`{}`), SessionVersion: 1,
		Members: []events.Member{{UserID: "alice", Role: events.RoleHost}, {UserID: "bob", Role: events.RoleViewer}},
	}))
	require.NoError(t, b.follow(events.CallMemberAddedPayload{UserID: "carol", Role: events.RoleViewer, SessionVersion: 2}))
	require.NoError(t, b.follow(events.CallMemberUpdatedPayload{UserID: "bob", Role: events.RoleParticipant, SessionVersion: 3}))
	require.NoError(t, b.follow(events.CallMemberUpdatedPayload{UserID: "bob", Role: events.RoleViewer, SessionVersion: 2}))
	require.NoError(t, b.follow(events.CallMemberRemovedPayload{UserID: "carol", SessionVersion: 4}))
	require.NoError(t, b.follow(events.CallUpdatedPayload{Changes: events.Changes{Title: events.Some("x")}, SessionVersion: 5}))
	require.Equal(t, map[string]domain.Member{
		"alice": {UserID: "alice", Role: events.RoleHost, Version: 1},
		"bob":   {UserID: "bob", Role: events.RoleParticipant, Version: 3},
		"carol": {UserID: "carol", Version: 4, Removed: true},
	}, b.state().Members)
	require.EqualValues(t, 5, b.state().SessionVersion)
	b.tally.take()
	require.NoError(t, b.follow(events.CallFailedPayload{Error: events.ErrorInfo{Code: "activation_timeout", Message: "x"}, SessionVersion: 6, EndedAt: events.At(moment)}))
	require.True(t, b.state().Final)
	require.Equal(t, []string{"session:call.failed"}, b.tally.take(), "nobody was given a token, so there is no room")
}

func TestTheEndHasTheRoomDeleted(t *testing.T) {
	b := setup(t)
	_, err := b.token(nil)
	require.NoError(t, err)
	b.tally.take()
	ended := events.CallEndedPayload{Reason: "completed", SessionVersion: 2, EndedAt: events.At(moment)}
	require.NoError(t, b.follow(ended))
	require.NoError(t, b.follow(ended))
	require.Equal(t, []string{"session:call.ended", "nudge:delete", "session:call.ended"}, b.tally.take())
	require.NoError(t, b.webhook(joinedBy("alice#default", "EV_1")))
	require.Equal(t, []string{"webhook:participant_joined:applied", "nudge:delete", "nudge:enforce"}, b.tally.take(), "a leftover token")
}

func TestOtherProvidersAndTypesAreLeftAlone(t *testing.T) {
	b := setup(t)
	require.NoError(t, b.follow(events.CallCreatedPayload{OwnerID: "alice", Kind: events.KindAudio, Provider: "other", Metadata: []byte(`{}`), SessionVersion: 1,
		Members: []events.Member{{UserID: "alice", Role: events.RoleHost}}}))
	require.NoError(t, b.follow(events.CallConnectingPayload{ProviderRoom: events.ProviderRoom{Provider: events.ProviderLiveKit, RoomName: "r", RoomSID: "s"}}))
	for _, kind := range events.Types() {
		if events.FamilyOf(kind).OfServices() {
			require.NoError(t, app.ApplySessionEvent{Mappings: b.store, Tally: b.tally, Nudges: b.nudges}.Do(t.Context(),
				events.Envelope{Type: kind, SessionID: session, Payload: []byte(`{}`)}))
		}
	}
	require.Empty(t, b.tally.take())
	require.ErrorIs(t, app.ApplySessionEvent{Mappings: b.store, Tally: b.tally, Nudges: b.nudges}.Do(t.Context(),
		events.Envelope{Type: events.CallEnded, SessionID: session, Payload: []byte(`[]`)}), app.ErrUnreadable)
	b.store.Fail(unavailable())
	require.ErrorIs(t, b.follow(events.CallMemberRemovedPayload{UserID: "alice", SessionVersion: 2}), ports.ErrUnavailable)
}
