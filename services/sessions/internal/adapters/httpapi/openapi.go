package httpapi

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/callplane/callplane/contracts/openapi"
)

// serveOpenAPI shows the description that this API's answers are tested against.
func serveOpenAPI(c *gin.Context) {
	c.Data(http.StatusOK, "application/json", openapi.Document())
}
