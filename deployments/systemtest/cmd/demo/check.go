package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/livekit/protocol/livekit"

	"github.com/callplane/callplane/contracts/events"
)

// expectedEvents is what the log of this call must hold, each exactly once: the type, and who it is about.
var expectedEvents = []string{
	"call.created",
	"call.connecting",
	"call.connected " + alice,
	"call.participant.joined " + alice,
	"call.track.published " + alice,
	"call.participant.joined " + bob,
	"call.track.published " + bob,
	"call.track.unpublished " + bob,
	"call.participant.left " + bob,
	"call.updated",
	"call.ended",
	"call.track.unpublished " + alice,
	"call.participant.left " + alice,
	"call.disconnected",
}

// checkLog holds the whole log against what is expected.
func (d *demo) checkLog() error {
	left := map[string]int{}
	for _, e := range expectedEvents {
		left[e] = 1
	}
	var wrong []string
	for _, e := range d.follower.events() {
		name := strings.TrimSpace(string(e.Type) + " " + e.facts.UserID)
		count, known := left[name]
		switch {
		case !known:
			wrong = append(wrong, name+" came, which doesn't belong to this call")
		case count == 0:
			wrong = append(wrong, name+" came twice")
		default:
			left[name]--
		}
	}
	for _, e := range expectedEvents {
		if left[e] == 1 {
			wrong = append(wrong, e+" is missing")
		}
	}
	if err := differs("each event of the call exactly once", wrong); err != nil {
		return err
	}
	if want, states := []string{"created", "active", "ended"}, d.line.seenStates(); !slices.Equal(states, want) {
		return &unexpected{expected: "the states " + strings.Join(want, " → "), came: strings.Join(states, " → ")}
	}
	return nil
}

// expectStatus reads the session and holds its status against the one that the log has led to.
func (d *demo) expectStatus(ctx context.Context, want events.Status) error {
	session, err := d.api.As(alice).Get(ctx, d.session.SessionID)
	if err != nil {
		return fmt.Errorf("reading the session: %w", err)
	}
	if session.Status != string(want) {
		return &unexpected{expected: fmt.Sprintf("the session to be %s", want), came: "it is " + session.Status}
	}
	return nil
}

// checkSession reads the session after the end and holds it against the call that was.
func (d *demo) checkSession(ctx context.Context) error {
	s, err := d.api.As(alice).Get(ctx, d.session.SessionID)
	if err != nil {
		return fmt.Errorf("reading the session: %w", err)
	}
	var wrong []string
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	check(s.Status == string(events.StatusEnded), "status is %s", s.Status)
	check(s.Error == nil, "error is set: %v", s.Error)
	check(s.StartedAt != nil && s.EndedAt != nil, "startedAt is %v, endedAt is %v", s.StartedAt, s.EndedAt)
	check(s.ProviderRoomID != nil && *s.ProviderRoomID == roomName(s.SessionID), "providerRoomId is %s", text(s.ProviderRoomID))
	check(s.ProviderParticipantID != nil && *s.ProviderParticipantID == d.callers[alice].Identity(),
		"providerParticipantId is %s", text(s.ProviderParticipantID))
	check(s.ProviderCallID != nil, "providerCallId is %s", text(s.ProviderCallID))
	check(len(s.Participants) == 2, "%d participants are listed", len(s.Participants))
	for _, p := range s.Participants {
		check(p.Status == "left", "%s is %s", p.UserID, p.Status)
	}
	return differs("the session ended, with its times and correlation, and both participants left", wrong)
}

// roomGone asks LiveKit itself.
func (d *demo) roomGone(ctx context.Context) error {
	name := roomName(d.session.SessionID)
	for begun := time.Now(); ; {
		res, err := d.rooms.ListRooms(ctx, &livekit.ListRoomsRequest{Names: []string{name}})
		if err != nil {
			return fmt.Errorf("asking LiveKit for its rooms: %w", err)
		}
		if len(res.GetRooms()) == 0 {
			d.line.note("LiveKit has no room " + name + " any more")
			return nil
		}
		if time.Since(begun) > patience {
			return &unexpected{expected: "no room " + name + " in LiveKit", came: "it is still there after " + patience.String()}
		}
		if err := pause(ctx); err != nil {
			return fmt.Errorf("waiting for the room to be gone: %w", err)
		}
	}
}

// roomName is how the bridge calls a session's room in LiveKit.
func roomName(sessionID string) string { return "call-" + sessionID }

// report says what went wrong, what the session looks like, and where to look.
func (d *demo) report(ctx context.Context, w io.Writer, err error) {
	say(w, "\n%s\n\n%v\n", d.line.paint(red, "The demo FAILED."), err)
	if d.follower != nil {
		say(w, "\nThe session's log, as far as it came:\n")
		for _, e := range d.follower.events() {
			say(w, "  %s  %s\n", e.Timestamp, strings.TrimSpace(string(e.Type)+" "+e.facts.UserID))
		}
	}
	if d.session.SessionID != "" {
		say(w, "\nThe session:\n%s\n", d.sessionBody(ctx))
	}
	say(w, "\nWhere to look: `make logs` shows what the services and servers said; %s/readyz says how sessions is.\n", d.settings.api())
}

// sessionBody is the session as it is now, as text for people.
func (d *demo) sessionBody(ctx context.Context) string {
	session, err := d.api.As(alice).Get(ctx, d.session.SessionID)
	if err != nil {
		return "  it can't be read: " + err.Error()
	}
	body, err := json.MarshalIndent(session, "  ", "  ")
	if err != nil {
		return "  it can't be shown: " + err.Error()
	}
	return "  " + string(body)
}

// farewell ends with where to look next.
func (d *demo) farewell(w io.Writer) {
	api, id := d.settings.api(), d.session.SessionID
	say(w, `
%s created → active → ended, %d events, each once.

Where to look next
  API            %s/v1/call/sessions   described by %s/openapi.json
  docs           README.md, contracts/README.md
  RabbitMQ       %s   user admin, password: RABBITMQ_ADMIN_PASSWORD in .env
  this session   curl -s -H 'X-User-Id: alice' %s/v1/call/sessions/%s
  its events     curl -s -H 'X-User-Id: alice' '%s/v1/call/sessions/%s/events?limit=200'
  logs           make logs            stop: make down

A call on screen: open %s twice, as two people, and call each other.
`, d.line.paint(green, "The call went as it should:"), len(d.follower.events()), api, api, d.settings.management(), api, id, api, id, d.settings.page())
}

func text(s *string) string {
	if s == nil {
		return "null"
	}
	return *s
}

// say writes to the terminal; if that fails there is nobody to tell.
func say(w io.Writer, format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
