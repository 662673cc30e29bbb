package amqp_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/rabbitmq"
	"github.com/callplane/callplane/services/bridge/internal/adapters/amqp"
	"github.com/callplane/callplane/services/bridge/internal/app"
)

const session = "0198a3c0-5f00-7000-8000-00000000000a"

// follower remembers what it was given.
type follower struct {
	got []events.Envelope
	err error
}

func (f *follower) Do(_ context.Context, e events.Envelope) error {
	f.got = append(f.got, e)
	return f.err
}

func delivery(t *testing.T) rabbitmq.Delivery {
	t.Helper()
	sealed, err := events.Seal(uuid.Must(uuid.NewV7()).String(), session, events.Draft{
		Timestamp: time.Now(), Actor: events.Actor{Type: events.ActorUser, ID: "alice"},
		Payload: events.CallMemberRemovedPayload{UserID: "bob", SessionVersion: 2},
	})
	require.NoError(t, err)
	return rabbitmq.Delivery{
		RoutingKey: string(events.CallMemberRemoved), MessageID: sealed.Envelope().EventID, UserID: topology.UserSessions,
		Headers: map[string]string{topology.HeaderSessionID: session}, Body: sealed.JSON(),
	}
}

func TestEventsOfSessionsAreFollowed(t *testing.T) {
	f := &follower{}
	require.NoError(t, amqp.FollowSessions(f)(t.Context(), delivery(t)))
	require.Len(t, f.got, 1)
	require.Equal(t, session, f.got[0].SessionID)

	f.err = errors.New("the database is away")
	err := amqp.FollowSessions(f)(t.Context(), delivery(t))
	require.ErrorIs(t, err, f.err)
	var rejected *rabbitmq.Rejected
	require.NotErrorAs(t, err, &rejected, "what is not the message's fault is tried again")
}

func TestOurOwnEventsArePassedOver(t *testing.T) {
	f := &follower{}
	d := delivery(t)
	d.UserID, d.Body = topology.UserBridge, []byte("whatever")
	require.NoError(t, amqp.FollowSessions(f)(t.Context(), d))
	require.Empty(t, f.got)
}

func TestBadMessagesAreRejectedWithTheReason(t *testing.T) {
	for reason, spoil := range map[string]func(*rabbitmq.Delivery){
		"malformed":          func(d *rabbitmq.Delivery) { d.Body = []byte("{") },
		"property_mismatch":  func(d *rabbitmq.Delivery) { d.MessageID = uuid.NewString() },
		"forbidden_producer": func(d *rabbitmq.Delivery) { d.UserID = "somebody" },
		"unknown_type": func(d *rabbitmq.Delivery) {
			d.Body = bytes.ReplaceAll(d.Body, []byte("call.member.removed"), []byte("call.member.eaten"))
		},
		"schema": func(d *rabbitmq.Delivery) { d.Body = bytes.ReplaceAll(d.Body, []byte(`"bob"`), []byte(`7`)) },
	} {
		f := &follower{}
		d := delivery(t)
		spoil(&d)
		var rejected *rabbitmq.Rejected
		require.ErrorAs(t, amqp.FollowSessions(f)(t.Context(), d), &rejected, reason)
		require.Equal(t, reason, rejected.Reason)
		require.Empty(t, f.got)
	}
	var rejected *rabbitmq.Rejected
	require.ErrorAs(t, amqp.FollowSessions(&follower{err: app.ErrUnreadable})(t.Context(), delivery(t)), &rejected)
}

// issuer answers every command the same way.
type issuer struct {
	issued commands.TokenIssued
	err    error
}

func (i issuer) Do(context.Context, commands.TokenIssue) (commands.TokenIssued, error) {
	return i.issued, i.err
}

// shower answers every question the same way.
type shower struct {
	shown commands.CallPresenceShown
	err   error
}

func (s shower) Do(context.Context, commands.CallPresence) (commands.CallPresenceShown, error) {
	return s.shown, s.err
}

func request(t *testing.T) (rabbitmq.Request, string) {
	t.Helper()
	id := uuid.NewString()
	body, err := commands.EncodeTokenIssue(commands.TokenIssue{
		CommandID: id, SessionID: session, SessionVersion: 1, UserID: "alice", Role: events.RoleHost,
		TTLSeconds: 60, Kind: events.KindVideo, IssuedAt: events.At(time.Now()),
	})
	require.NoError(t, err)
	return rabbitmq.Request{Key: commands.TokenIssueName, UserID: topology.UserSessions, Body: body}, id
}

func serve(t *testing.T, i issuer, r rabbitmq.Request) (commands.Reply[commands.TokenIssued], string) {
	t.Helper()
	var log bytes.Buffer
	body, err := amqp.ServeCommands(amqp.Commands{Token: i, Presence: shower{}}, slog.New(slog.NewTextHandler(&log, nil)))(t.Context(), r)
	require.NoError(t, err)
	reply, err := commands.DecodeTokenReply(body)
	require.NoError(t, err)
	return reply, log.String()
}

func TestCommandsAreAnswered(t *testing.T) {
	issued := commands.TokenIssued{
		Provider: events.ProviderLiveKit, URL: "wss://live.example", Token: commands.NewJoinToken("the-token"),
		RoomName: "call-" + session, Identity: "alice#default", ExpiresAt: events.At(time.Now()),
	}
	r, id := request(t)
	reply, log := serve(t, issuer{issued: issued}, r)
	require.Equal(t, commands.Succeed(id, issued), reply)
	require.Empty(t, log)

	cause := errors.New("the cause")
	for code, logged := range map[commands.Code]bool{commands.SessionFinal: false, commands.Unavailable: true, commands.Internal: true} {
		failure := &commands.Failure{Code: code, Message: "no"}
		reply, log := serve(t, issuer{err: errors.Join(failure, cause)}, r)
		require.Equal(t, commands.Refuse[commands.TokenIssued](id, *failure), reply)
		require.Equal(t, logged, bytes.Contains([]byte(log), []byte("the cause")))
	}
	reply, _ = serve(t, issuer{err: cause}, r)
	require.Equal(t, commands.Internal, reply.Failure.Code)
	require.NotContains(t, reply.Failure.Message, "the cause")
}

func TestPresenceIsAnswered(t *testing.T) {
	id := uuid.NewString()
	body, err := commands.EncodeCallPresence(commands.CallPresence{CommandID: id, SessionID: session, SessionVersion: 1})
	require.NoError(t, err)
	answer := func(s shower, body []byte) commands.Reply[commands.CallPresenceShown] {
		handle := amqp.ServeCommands(amqp.Commands{Token: issuer{}, Presence: s}, slog.New(slog.DiscardHandler))
		encoded, err := handle(t.Context(), rabbitmq.Request{Key: commands.CallPresenceName, UserID: topology.UserSessions, Body: body})
		require.NoError(t, err)
		reply, err := commands.DecodePresenceReply(encoded)
		require.NoError(t, err)
		return reply
	}
	shown := commands.CallPresenceShown{Connected: true, Activated: true}
	require.Equal(t, commands.Succeed(id, shown), answer(shower{shown: shown}, body))
	away := &commands.Failure{Code: commands.Unavailable, Message: "away", Retryable: true}
	require.Equal(t, commands.Refuse[commands.CallPresenceShown](id, *away), answer(shower{err: errors.Join(away, errors.New("the cause"))}, body))
	reply := answer(shower{}, bytes.ReplaceAll(body, []byte(`"sessionVersion":1`), []byte(`"sessionVersion":0`)))
	require.Equal(t, commands.InvalidCommand, reply.Failure.Code)
}

func TestCommandsThatBreakTheirContract(t *testing.T) {
	r, id := request(t)
	r.Body = bytes.ReplaceAll(r.Body, []byte(`"ttlSeconds":60`), []byte(`"ttlSeconds":"soon"`))
	reply, _ := serve(t, issuer{}, r)
	require.Equal(t, id, reply.CommandID)
	require.Equal(t, commands.InvalidCommand, reply.Failure.Code)

	handler := amqp.ServeCommands(amqp.Commands{Token: issuer{}, Presence: shower{}}, slog.New(slog.DiscardHandler))
	for _, bad := range []rabbitmq.Request{{Key: commands.TokenIssueName, Body: []byte("{")}, {Key: "token.forge", Body: r.Body}} {
		_, err := handler(t.Context(), bad)
		require.Error(t, err)
	}
	require.Equal(t, []string{topology.UserSessions}, amqp.CommandServer().Users)
	require.Equal(t, commands.Names(), topology.CommandKeys())
}
