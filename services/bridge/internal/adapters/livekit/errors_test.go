package livekit_test

import (
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/adapters/livekit"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// answer is what a server answers to any call.
type answer struct {
	status int
	body   string
}

func (a answer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if strings.HasPrefix(a.body, "{") {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(a.status)
	_, _ = w.Write([]byte(a.body))
}

// withDetails is a status of gRPC as LiveKit packs it into the meta data of an error: code, message
// and one detail.
func withDetails(code uint64, message string) string {
	detail := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), "type.googleapis.com/google.protobuf.Empty")
	status := protowire.AppendVarint(protowire.AppendTag(nil, 1, protowire.VarintType), code)
	status = protowire.AppendString(protowire.AppendTag(status, 2, protowire.BytesType), message)
	status = protowire.AppendBytes(protowire.AppendTag(status, 3, protowire.BytesType), detail)
	return `{"code":"unknown","msg":"x","meta":{"error_details":"` + base64.StdEncoding.EncodeToString(status) + `"}}`
}

// changes are the calls that change something at LiveKit.
func changes(ctx context.Context, rooms *livekit.Rooms) map[string]error {
	role := domain.DesiredPermission{Identity: "alice#default", UserID: "alice", Role: events.RoleHost}
	return map[string]error{
		"delete": rooms.Delete(ctx, "call-x"), "remove": rooms.Remove(ctx, "call-x", "alice#default"),
		"set role": rooms.SetRole(ctx, "call-x", role),
	}
}

// looks are the calls to which not found is no answer.
func looks(ctx context.Context, rooms *livekit.Rooms) map[string]error {
	_, list := rooms.List(ctx, []string{"call-x"})
	_, all := rooms.Rooms(ctx)
	return map[string]error{"ping": rooms.Ping(ctx), "list": list, "rooms": all}
}

func TestAnErrorOfLiveKitIsAnErrorOfThePorts(t *testing.T) {
	const body = "invalid token: eyJh.eyJp.c2ln"
	for name, tc := range map[string]struct {
		answer   answer
		notFound bool // the room or the participant
		refused  bool
		ask      domain.AnswerKind // 0: an error
	}{
		"not found":             {answer: answer{404, `{"code":"not_found","msg":"participant does not exist"}`}, notFound: true, ask: domain.NotFound},
		"not found, detailed":   {answer: answer{500, withDetails(5, "gone")}, notFound: true, ask: domain.NotFound},
		"a page is not found":   {answer: answer{404, "404 page not found"}},
		"a bad key":             {answer: answer{401, body}, refused: true},
		"not authenticated":     {answer: answer{401, `{"code":"unauthenticated","msg":"permissions denied"}`}, refused: true},
		"denied":                {answer: answer{403, `{"code":"permission_denied","msg":"no"}`}, refused: true},
		"denied, detailed":      {answer: answer{500, withDetails(7, "no")}, refused: true},
		"forbidden":             {answer: answer{403, "forbidden"}, refused: true},
		"no response":           {answer: answer{503, `{"code":"unavailable","msg":"no response from servers"}`}, ask: domain.NoResponse},
		"no response, detailed": {answer: answer{500, withDetails(14, "no response from servers")}, ask: domain.NoResponse},
		"a proxy's text":        {answer: answer{503, "no response from servers"}},
		"another unavailable":   {answer: answer{503, `{"code":"unavailable","msg":"no servers available (received 1 responses)"}`}},
		"timed out":             {answer: answer{408, `{"code":"deadline_exceeded","msg":"request timed out"}`}},
		"unknown":               {answer: answer{500, `{"code":"unknown","msg":"could not find object"}`}},
		"nothing that is known": {answer: answer{200, "<html>"}},
		"elsewhere":             {answer: answer{302, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			rooms := dial(t, tc.answer)
			for call, err := range changes(t.Context(), rooms) {
				require.Equal(t, tc.notFound, errors.Is(err, ports.ErrNotFound), "%s: %v", call, err)
				require.Equal(t, !tc.notFound, errors.Is(err, ports.ErrUnavailable), "%s: %v", call, err)
				require.Equal(t, tc.refused, errors.Is(err, ports.ErrRefused), "%s: %v", call, err)
				require.NotContains(t, err.Error(), "eyJh", "the token that is refused may be good a moment later")
			}
			for call, err := range looks(t.Context(), rooms) {
				require.ErrorIs(t, err, ports.ErrUnavailable, call)
				require.NotErrorIs(t, err, ports.ErrNotFound, call)
				require.Equal(t, tc.refused, errors.Is(err, ports.ErrRefused), "%s: %v", call, err)
			}
			there, err := rooms.Connections(t.Context(), "call-x")
			require.Empty(t, there)
			require.Equal(t, !tc.notFound, errors.Is(err, ports.ErrUnavailable), "%v", err)
			found, err := rooms.Ask(t.Context(), "call-x", "alice#default")
			require.Equal(t, domain.Answer{Kind: tc.ask}, found)
			require.Equal(t, tc.ask == 0, errors.Is(err, ports.ErrUnavailable), "%v", err)
		})
	}
}

func TestWithoutAServerEverythingIsUnavailable(t *testing.T) {
	rooms := livekit.NewRooms("http://127.0.0.1:1", key, secret)
	defer rooms.Close()
	ctx := t.Context()
	_, ask := rooms.Ask(ctx, "call-x", "alice#default")
	_, connections := rooms.Connections(ctx, "call-x")
	all := map[string]error{"ask": ask, "connections": connections}
	maps.Copy(all, changes(ctx, rooms))
	maps.Copy(all, looks(ctx, rooms))
	for call, err := range all {
		require.ErrorIs(t, err, ports.ErrUnavailable, call)
		require.NotErrorIs(t, err, ports.ErrNotFound, call)
		require.NotErrorIs(t, err, ports.ErrRefused, call)
	}
}

// A room whose node is gone is given to another one, which deletes it at the next attempt. A node
// that was killed stays registered until another one starts.
func TestARoomWhoseNodeIsGone(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]answer{
		"not registered":       {http.StatusInternalServerError, `{"code":"unknown","msg":"could not find object"}`},
		"registered, and dead": {http.StatusServiceUnavailable, `{"code":"unavailable","msg":"twirp error unknown: no response from servers"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var calls []string
			created := false
			rooms := dial(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				call := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
				calls = append(calls, call)
				if call == "DeleteRoom" && !created {
					gone.ServeHTTP(w, r)
					return
				}
				created = true
				w.Header().Set("Content-Type", "application/protobuf")
			}))
			require.ErrorIs(t, rooms.Delete(t.Context(), "call-x"), ports.ErrUnavailable)
			require.NoError(t, rooms.Delete(t.Context(), "call-x"))
			require.Equal(t, []string{"DeleteRoom", "CreateRoom", "DeleteRoom"}, calls)
		})
	}
}
