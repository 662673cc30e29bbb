package httpapi_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/sessions/internal/ports/portstest"
)

// everybody is one of each kind of caller, in the order of the columns below: the owner alice, a host, a participant, a viewer, a service
// with each scope, a signed-in stranger, and somebody who is not signed in.
var everybody = []struct{ name, user, scopes string }{
	{"owner", "alice", ""}, {"host", "hal", ""}, {"participant", "bob", ""}, {"viewer", "carol", ""},
	{"reader", "audit", "call:read"}, {"scribe", "scribe", "call:events"}, {"meter", "meter", "call:usage"}, {"admin", "support", "call:admin"},
	{"stranger", "mallory", ""}, {"nobody", "", ""},
}

// access is who gets what from every operation on sessions. A path begins after the session's, but for the collection's own routes.
var access = []struct {
	name, route, method, path, body                                                  string
	owner, host, participant, viewer, reader, scribe, meter, admin, stranger, nobody int
}{
	{"create", "", "POST", "", `{}`, 201, 201, 201, 201, 201, 201, 201, 201, 201, 401},
	{"create for another", "", "POST", "", `{"ownerId":"dave"}`, 403, 403, 403, 403, 403, 403, 403, 201, 403, 401},
	{"list", "", "GET", "", "", 200, 200, 200, 200, 200, 200, 200, 200, 200, 401},
	{"read", "/:sessionId", "GET", "", "", 200, 200, 200, 200, 200, 404, 404, 200, 404, 401},
	{"change", "/:sessionId", "PATCH", "", `{"title":"new"}`, 200, 200, 403, 403, 403, 404, 404, 200, 404, 401},
	{"end", "/:sessionId", "PATCH", "", `{"status":"ended"}`, 200, 200, 403, 403, 403, 404, 404, 200, 404, 401},
	{"take the ownership", "/:sessionId", "PATCH", "", `{"ownerId":"bob"}`, 400, 400, 400, 400, 400, 400, 400, 400, 400, 401},
	{"get a token", "/:sessionId/token", "POST", "/token", "", 200, 200, 200, 200, 403, 404, 404, 403, 404, 401},
	{"read the events", "/:sessionId/events", "GET", "/events", "", 200, 200, 200, 200, 200, 404, 404, 200, 404, 401},
	{"say something", "/:sessionId/events", "POST", "/events", aTranscript, 403, 403, 403, 403, 403, 201, 403, 403, 404, 401},
	{"bill", "/:sessionId/events", "POST", "/events", aBill, 403, 403, 403, 403, 403, 403, 201, 403, 404, 401},
	{"forge an end", "/:sessionId/events", "POST", "/events", anEnd, 403, 403, 403, 403, 403, 403, 403, 403, 404, 401},
	{"keep a checkpoint", checkpointRoute, "PUT", "/checkpoints/app", aCheckpoint, 200, 200, 200, 200, 200, 404, 404, 200, 404, 401},
	{"read a checkpoint", checkpointRoute, "GET", "/checkpoints/app", "", 200, 200, 200, 200, 200, 404, 404, 200, 404, 401},
	{"invite", memberRoute, "PUT", "/members/dave", `{"role":"viewer"}`, 201, 201, 403, 403, 403, 404, 404, 201, 404, 401},
	{"invite a host", memberRoute, "PUT", "/members/dave", `{"role":"host"}`, 201, 403, 403, 403, 403, 404, 404, 201, 404, 401},
	{"invite oneself", memberRoute, "PUT", "/members/mallory", `{"role":"host"}`, 201, 403, 403, 403, 403, 404, 404, 201, 404, 401},
	{"let speak", memberRoute, "PUT", "/members/carol", `{"role":"participant"}`, 200, 200, 403, 403, 403, 404, 404, 200, 404, 401},
	{"promote to host", memberRoute, "PUT", "/members/bob", `{"role":"host"}`, 200, 403, 403, 403, 403, 404, 404, 200, 404, 401},
	{"demote a host", memberRoute, "PUT", "/members/hal", `{"role":"viewer"}`, 200, 403, 403, 403, 403, 404, 404, 200, 404, 401},
	{"demote the owner", memberRoute, "PUT", "/members/alice", `{"role":"viewer"}`, 409, 409, 403, 403, 403, 404, 404, 409, 404, 401},
	{"remove a participant", memberRoute, "DELETE", "/members/bob", "", 204, 204, 204, 403, 403, 404, 404, 204, 404, 401},
	{"remove a viewer", memberRoute, "DELETE", "/members/carol", "", 204, 204, 403, 204, 403, 404, 404, 204, 404, 401},
	{"remove a host", memberRoute, "DELETE", "/members/hal", "", 204, 204, 403, 403, 403, 404, 404, 204, 404, 401},
	{"remove another host", memberRoute, "DELETE", "/members/eve", "", 204, 403, 403, 403, 403, 404, 404, 204, 404, 401},
	{"remove the owner", memberRoute, "DELETE", "/members/alice", "", 409, 409, 403, 403, 403, 404, 404, 409, 404, 401},
	{"remove a stranger", memberRoute, "DELETE", "/members/mallory", "", 404, 404, 403, 403, 403, 404, 404, 404, 404, 401},
}

const (
	collection  = "/v1/call/sessions"
	memberRoute = "/:sessionId/members/:userId"

	checkpointRoute = "/:sessionId/checkpoints/:consumer"
	lastEvent       = "{lastEventId}" // stands for the id of the session's last event
	aCheckpoint     = `{"eventId":"` + lastEvent + `"}`
)

func TestEveryRoleAtEveryEndpoint(t *testing.T) {
	tested := map[string]bool{}
	for _, row := range access {
		tested[row.method+" "+collection+row.route] = true
		want := []int{
			row.owner, row.host, row.participant, row.viewer, row.reader, row.scribe, row.meter, row.admin, row.stranger, row.nobody,
		}
		for i, who := range everybody {
			t.Run(row.name+" as "+who.name, func(t *testing.T) {
				b := setup(t)
				path := collection
				if row.route != "" {
					path = b.crowd()
				}
				before := b.do(call{http.MethodGet, path, "alice", "", nil})
				last, _ := before.body["lastEventId"].(string)
				scopes := map[string]string{"X-Scopes": who.scopes}
				if row.name == "read a checkpoint" {
					b.do(call{http.MethodPut, path + row.path, who.user, strings.ReplaceAll(aCheckpoint, lastEvent, last), scopes})
				}
				r := b.do(call{row.method, path + row.path, who.user, strings.ReplaceAll(row.body, lastEvent, last), scopes})
				require.Equal(t, want[i], r.status, "%s", r.text)
				if r.status >= http.StatusBadRequest && row.route != "" {
					after := b.do(call{http.MethodGet, path, "alice", "", nil})
					require.Equal(t, string(before.text), string(after.text), "what is refused changes nothing")
				}
			})
		}
	}
	for _, route := range setup(t).engine.Routes() {
		if strings.HasPrefix(route.Path, collection) {
			require.True(t, tested[route.Method+" "+route.Path], "the table has no row for %s %s", route.Method, route.Path)
		}
	}
}

// crowd makes a session of everybody who is a member above, and of one more host.
func (b *bundle) crowd() string {
	b.t.Helper()
	path := b.session(`,"title":"old"`)
	for _, host := range []string{"hal", "eve"} {
		b.do(call{http.MethodPut, path + "/members/" + host, "alice", `{"role":"host"}`, nil}).ok(http.StatusCreated)
	}
	return path
}

// TestStrangersCannotTellWhatExists holds the answer about a session that the caller may not see to the one about a session that never was:
// the same bytes and headers, but for what names the request itself.
func TestStrangersCannotTellWhatExists(t *testing.T) {
	b := setup(t)
	id := strings.TrimPrefix(b.crowd(), collection+"/")
	const malformed = "not-a-session"
	for _, row := range access {
		if row.route == "" {
			continue
		}
		for _, who := range everybody {
			if who.name != "stranger" && who.name != "scribe" && who.name != "meter" && who.name != "nobody" {
				continue
			}
			if row.method == http.MethodPost && row.path == "/events" && (who.name == "scribe" || who.name == "meter") {
				continue // They post to any session, and so may know which there are.
			}
			body := strings.ReplaceAll(row.body, lastEvent, portstest.NewID(t))
			answer := func(asked string) string {
				r := b.do(call{row.method, collection + "/" + asked + row.path, who.user, body, map[string]string{"X-Scopes": who.scopes}})
				return anonymous(r, asked)
			}
			hidden := answer(id)
			require.Equal(t, hidden, answer(portstest.NewID(t)), "%s as %s", row.name, who.name)
			require.Equal(t, hidden, answer(malformed), "%s as %s", row.name, who.name)
		}
	}
}

var requestsOwn = regexp.MustCompile(`"(requestId|traceId)":"[^"]*"`)

// anonymous is an answer without what names the request: its ids, and the path that was asked for.
func anonymous(r reply, asked string) string {
	header := r.header.Clone()
	header.Del("X-Request-Id")
	var all strings.Builder
	_ = header.Write(&all)
	return all.String() + strings.ReplaceAll(string(requestsOwn.ReplaceAll(r.text, []byte(`"$1":""`))), asked, "{id}")
}
