// Package httpapi is the public HTTP API: routes, strict reading of what callers send, and the one table from errors to problems.
package httpapi

import (
	"fmt"
	"log/slog"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/libs/telemetry"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/app/live"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// API serves the use cases.
type API struct {
	Create app.CreateSession
	Get    app.GetSession
	List   app.ListSessions
	Update app.UpdateSession
	Token  app.IssueToken
	Events app.ListEvents

	SetMember    app.SetMember
	RemoveMember app.RemoveMember

	PostEvent         app.PostEvent
	AdvanceCheckpoint app.AdvanceCheckpoint
	GetCheckpoint     app.GetCheckpoint

	FollowSession live.FollowSession
	FollowUser    live.FollowUser

	Auth    Authenticator
	Origins []string        // of web pages that may use the API in a browser, as browsers write them; none: CORS is off
	Limit   *Limit          // for each caller; nil: none
	Ready   <-chan struct{} // closed once work may begin; before that every answer is 503
}

const (
	sessionsPath = "/v1/call/sessions"
	userEvents   = "/v1/call/events"
	idParam      = "sessionId"
	userParam    = "userId"

	consumerParam = "consumer"
)

// Mount adds the routes to an engine that answers everything else with problems.
func (a API) Mount(engine *gin.Engine) {
	if len(a.Origins) > 0 {
		engine.Use(crossOrigin(a.Origins, a.authHeaders()...))
	}
	engine.GET("/openapi.json", a.limitAddress, serveOpenAPI)
	a.mountDocs(engine)
	v1 := engine.Group(sessionsPath, a.open, a.authenticate)
	v1.POST("", a.createSession)
	v1.GET("", a.listSessions)
	v1.GET("/:"+idParam, a.getSession)
	v1.PATCH("/:"+idParam, a.updateSession)
	v1.POST("/:"+idParam+"/token", a.issueToken)
	v1.PUT("/:"+idParam+"/members/:"+userParam, a.putMember)
	v1.DELETE("/:"+idParam+"/members/:"+userParam, a.deleteMember)
	v1.GET("/:"+idParam+"/events", a.listEvents)
	v1.POST("/:"+idParam+"/events", a.postEvent)
	v1.PUT("/:"+idParam+"/checkpoints/:"+consumerParam, a.putCheckpoint)
	v1.GET("/:"+idParam+"/checkpoints/:"+consumerParam, a.getCheckpoint)
	engine.GET(userEvents, a.open, a.authenticate, a.streamUser)
}

// open lets nobody pass before work may begin.
func (a API) open(c *gin.Context) {
	select {
	case <-a.Ready:
	default:
		fail(c, fmt.Errorf("starting: %w", ports.ErrUnavailable))
	}
}

// sessionID returns the id in the path, in lower case. One that is malformed is looked up as one that no session has: whatever else is wrong
// with the request, the answer is then the same as for an unknown session.
func sessionID(c *gin.Context) string {
	id, ok := parseUUID(c.Param(idParam))
	if !ok {
		return noSession
	}
	c.Request = c.Request.WithContext(telemetry.WithAttrs(c.Request.Context(), slog.String("session_id", id)))
	return id
}

// noSession is never the id of a session: those are of version 7.
const noSession = "00000000-0000-0000-0000-000000000000"

// parseUUID takes the one form of RFC 9562, in upper or lower case.
func parseUUID(text string) (string, bool) {
	const length = 36
	if len(text) != length {
		return "", false
	}
	id, err := uuid.Parse(text)
	return id.String(), err == nil
}

// answer writes a JSON body that caches must not keep.
func answer(c *gin.Context, status int, body any) {
	c.Header("Cache-Control", "no-store")
	c.PureJSON(status, body)
}

// fail answers with the problem of err.
func fail(c *gin.Context, err error) {
	p, headers, cause := problemOf(err)
	for name, value := range headers {
		c.Header(name, value)
	}
	httpserver.Fail(c, p, cause)
}
