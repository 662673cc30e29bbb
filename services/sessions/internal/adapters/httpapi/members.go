package httpapi

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/problem"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

func (a API) putMember(c *gin.Context) {
	id := sessionID(c)
	member := events.Member{UserID: memberID(c)}
	var role *events.Role
	err := readObject(c.Request, form{"role": textPointer(&role)}, mediaJSON)
	if err == nil && role == nil {
		err = problem.InvalidRequest.WithErrors(problem.FieldError{Pointer: "/role", Code: domain.FaultRequired, Message: "is required"})
	}
	if err != nil {
		fail(c, err)
		return
	}
	member.Role = *role
	added, err := a.SetMember.Do(c.Request.Context(), caller(c), id, member)
	if err != nil {
		fail(c, err)
		return
	}
	status := http.StatusOK
	if added {
		status = http.StatusCreated
	}
	answer(c, status, member)
}

func (a API) deleteMember(c *gin.Context) {
	id := sessionID(c)
	if err := a.RemoveMember.Do(c.Request.Context(), caller(c), id, memberID(c)); err != nil {
		fail(c, err)
		return
	}
	c.Header("Cache-Control", "no-store")
	c.Status(http.StatusNoContent)
	c.Writer.WriteHeaderNow()
}

// memberID returns the user in the path. An id may hold any visible character, so the path is read as it was sent: gin takes a plus for a
// space wherever something else is escaped.
func memberID(c *gin.Context) string {
	escaped := c.Request.URL.EscapedPath()
	id, err := url.PathUnescape(escaped[strings.LastIndexByte(escaped, '/')+1:])
	if err != nil {
		return c.Param(userParam) // never: the server has read this path before
	}
	return id
}
