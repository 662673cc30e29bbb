package httpapi

import (
	"github.com/gin-gonic/gin"

	"github.com/callplane/callplane/libs/problem"
	"github.com/callplane/callplane/services/sessions/internal/app/live"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

// streamSession follows the log of one session.
func (a API) streamSession(c *gin.Context, id string) {
	page, err := pageRequest(c.Request.URL)
	if err != nil {
		fail(c, err)
		return
	}
	request := live.SessionRequest{SessionID: id, After: page.After, Types: page.Types}
	if resumed := watermark(c, ""); resumed != "" {
		var ok bool
		if request.After, ok = parseUUID(resumed); !ok {
			fail(c, problem.InvalidRequest.WithErrors(problem.FieldError{
				Pointer: lastEventID, Code: domain.FaultFormat, Message: "must be the id of an event, a UUID",
			}))
			return
		}
	}
	stream, err := a.FollowSession.Open(c.Request.Context(), caller(c), request)
	if err != nil {
		fail(c, err)
		return
	}
	a.streamOf(c, stream)
}

// streamUser follows all sessions of the caller.
func (a API) streamUser(c *gin.Context) {
	after := ""
	err := readQuery(c.Request.URL, map[string]parameter{
		"after": func(found *faults, value string) {
			if value == "" {
				found.add("after", domain.FaultRequired, "must be the id of an event of this stream, or an eventsCursor; leave it out to begin now")
			}
			after = value
		},
	})
	if err != nil {
		fail(c, err)
		return
	}
	stream, err := a.FollowUser.Open(c.Request.Context(), caller(c), watermark(c, after))
	if err != nil {
		fail(c, err)
		return
	}
	a.streamOf(c, stream)
}
