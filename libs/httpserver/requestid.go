package httpserver

import (
	"regexp"

	"github.com/gin-gonic/gin"
	"github.com/google/uuid"

	"github.com/callplane/callplane/libs/problem"
	"github.com/callplane/callplane/libs/telemetry"
)

// RequestIDHeader carries the id of a request, in and out.
const RequestIDHeader = "X-Request-Id"

var acceptable = regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)

// requestID takes the caller's id of the request, or makes one where there is none or it could be harmful in a log.
func requestID() gin.HandlerFunc {
	return func(c *gin.Context) {
		id := c.GetHeader(RequestIDHeader)
		if !acceptable.MatchString(id) {
			id = uuid.NewString()
		}
		c.Header(RequestIDHeader, id)
		ctx := telemetry.WithRequestID(c.Request.Context(), id)
		c.Request = c.Request.WithContext(problem.Annotate(ctx, id, ""))
		c.Next()
	}
}
