package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

func (b *bundle) list(user, query string) reply {
	b.t.Helper()
	return b.do(call{http.MethodGet, collection + query, user, "", nil})
}

// ids returns the ids of a page's items.
func (r reply) ids() []string {
	r.t.Helper()
	var ids []string
	for _, item := range r.body["items"].([]any) {
		ids = append(ids, item.(map[string]any)["sessionId"].(string))
	}
	return ids
}

func idOf(path string) string { return strings.TrimPrefix(path, collection+"/") }

func TestList(t *testing.T) {
	b := setup(t)
	empty := b.list("alice", "").ok(http.StatusOK)
	require.Equal(t, []any{}, empty.body["items"])
	require.Nil(t, empty.body["nextCursor"])
	require.NotEmpty(t, empty.body["eventsCursor"])
	var newestFirst []string
	for range 5 {
		newestFirst = append([]string{idOf(b.session(""))}, newestFirst...)
		b.clock.Advance(time.Minute)
	}
	page := b.list("bob", "?limit=2").ok(http.StatusOK)
	require.Equal(t, newestFirst[:2], page.ids(), "a member's too")
	require.NotEmpty(t, page.body["eventsCursor"])
	b.session("")
	got := page.ids()
	for next := page.body["nextCursor"]; next != nil; {
		page = b.list("bob", "?limit=1&cursor="+next.(string)).ok(http.StatusOK)
		require.Nil(t, page.body["eventsCursor"], "on the first page only")
		got, next = append(got, page.ids()...), page.body["nextCursor"]
	}
	require.Equal(t, newestFirst, got)
	require.Len(t, b.list("alice", "").ids(), 6)
	require.Empty(t, b.list("mallory", "").ids())
	audit := b.do(call{http.MethodGet, collection, "audit", "", map[string]string{"X-Scopes": "call:read"}}).ok(http.StatusOK)
	require.Empty(t, audit.ids(), "own and member sessions")
}

func TestListItemsAreAsGetShowsThem(t *testing.T) {
	b := setup(t)
	path := b.session(`,"title":"a <b>","metadata":{"n":12345678901234567890}`)
	b.fact(path, portstest.Connected, "bob")
	b.fact(path, portstest.Joined, "bob")
	one := b.do(call{http.MethodGet, path, "carol", "", nil}).ok(http.StatusOK)
	list := b.list("carol", "").ok(http.StatusOK)
	require.Contains(t, string(list.text), strings.TrimSpace(string(one.text)))
}

func TestListByStatus(t *testing.T) {
	b := setup(t)
	active, created, ended := b.session(""), b.session(""), b.session("")
	b.fact(active, portstest.Connected, "bob")
	b.do(call{http.MethodPatch, ended, "alice", `{"status":"ended"}`, nil}).ok(http.StatusOK)
	require.Equal(t, []string{idOf(active)}, b.list("alice", "?status=active").ids())
	require.ElementsMatch(t, []string{idOf(active), idOf(created)}, b.list("alice", "?status=created,active,reconnecting,active").ids())
	require.Equal(t, []string{idOf(ended)}, b.list("alice", "?status=ended%2Cfailed").ids())
	require.Empty(t, b.list("alice", "?status=failed").ids())
}

func TestListRefusesWhatItDoesNotKnow(t *testing.T) {
	b := setup(t)
	for query, parameters := range map[string][]string{
		"status=gone": {"status"}, "status=": {"status"}, "status=active,": {"status"}, "limit=0": {"limit"}, "limit=201": {"limit"}, "limit=1e1": {"limit"},
		"cursor=": {"cursor"}, "limit=1&limit=2": {"limit"}, "limit=x&status=x&cursor=": {"limit", "status", "cursor"},
	} {
		r := b.list("alice", "?"+query).problem(http.StatusBadRequest, "invalid_request")
		require.Len(t, r.faults(), len(parameters), query)
		for _, parameter := range parameters {
			require.Contains(t, r.faults(), parameter, query)
		}
	}
	b.list("alice", "?status=%zz").problem(http.StatusBadRequest, "invalid_request")
	b.list("", "").problem(http.StatusUnauthorized, "unauthenticated")
}

func TestACursorIsTheCallersAndTheLists(t *testing.T) {
	b := setup(t)
	for range 3 {
		b.session("")
	}
	first := b.list("alice", "?limit=1&status=created,active").ok(http.StatusOK)
	cursor := first.body["nextCursor"].(string)
	b.list("alice", "?limit=2&status=active,created&cursor="+cursor).ok(http.StatusOK)
	for name, request := range map[string][2]string{
		"another user's":    {"bob", "?status=created,active&cursor=" + cursor},
		"another filter's":  {"alice", "?status=created&cursor=" + cursor},
		"no filter's":       {"alice", "?cursor=" + cursor},
		"changed":           {"alice", "?status=created,active&cursor=" + cursor[:len(cursor)-2] + "AA"},
		"cut":               {"alice", "?status=created,active&cursor=" + cursor[:20]},
		"made up":           {"alice", "?cursor=eyJpZCI6MX0"},
		"no base64":         {"alice", "?cursor=%00%ff"},
		"that of a stream":  {"alice", "?cursor=" + first.body["eventsCursor"].(string)},
		"far too long":      {"alice", "?cursor=" + strings.Repeat("A", 10_000)},
		"a session's id":    {"alice", "?cursor=" + first.ids()[0]},
		"with one more bit": {"alice", "?status=created,active&cursor=" + cursor + "A"},
	} {
		r := b.list(request[0], request[1])
		require.Equal(t, "invalid_cursor", r.problem(http.StatusBadRequest, "invalid_cursor").body["code"], name)
	}
}
