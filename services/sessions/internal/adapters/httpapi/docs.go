package httpapi

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/gin-gonic/gin"

	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/libs/problem"
)

const (
	docsPath   = "/docs"
	docsScript = "openapi-explorer-2.4.820.min.js"
	assetParam = "asset"
)

// docsPolicy lets the page load from here alone, and show no credentials elsewhere. Styles may be inline, as the script sets them.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed docs/index.html
var docsPage []byte

//go:embed docs/openapi-explorer-2.4.820.min.js.gz
var docsScriptGzip []byte

// docsScriptPlain is for the few clients that don't take gzip.
var docsScriptPlain = sync.OnceValues(func() ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(docsScriptGzip))
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", docsScript, err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", docsScript, err)
	}
	return text, nil
})

// mountDocs adds the page that shows the API's description, and the one file that it needs.
func (a API) mountDocs(engine *gin.Engine) {
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		engine.Handle(method, docsPath, a.limitAddress, serveDocs)
		engine.Handle(method, docsPath+"/:"+assetParam, a.limitAddress, serveDocsAsset)
	}
}

func serveDocs(c *gin.Context) {
	c.Header("Content-Security-Policy", docsPolicy)
	c.Header("Referrer-Policy", "no-referrer")
	c.Header("Cache-Control", "no-cache")
	sendDocs(c, "text/html; charset=utf-8", docsPage)
}

func serveDocsAsset(c *gin.Context) {
	if c.Param(assetParam) != docsScript {
		fail(c, problem.NotFound.WithDetail("There is nothing at this path."))
		return
	}
	content := docsScriptGzip
	c.Header("Vary", "Accept-Encoding")
	if acceptsGzip(c.GetHeader("Accept-Encoding")) {
		c.Header("Content-Encoding", "gzip")
	} else {
		plain, err := docsScriptPlain()
		if err != nil {
			httpserver.Fail(c, problem.Internal, err)
			return
		}
		content = plain
	}
	c.Header("Cache-Control", "public, max-age=31536000, immutable")
	sendDocs(c, "text/javascript; charset=utf-8", content)
}

// sendDocs leaves the content out of the answer to HEAD.
func sendDocs(c *gin.Context, mediaType string, content []byte) {
	c.Header("X-Content-Type-Options", "nosniff")
	c.Header("Content-Length", strconv.Itoa(len(content)))
	if c.Request.Method == http.MethodHead {
		c.Header("Content-Type", mediaType)
		c.Status(http.StatusOK)
		c.Writer.WriteHeaderNow()
		return
	}
	c.Data(http.StatusOK, mediaType, content)
}

// acceptsGzip reads Accept-Encoding (RFC 9110, section 12.5.3), where gzip is not refused by the weight 0.
func acceptsGzip(header string) bool {
	for coding := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(strings.ToLower(strings.TrimSpace(coding)), ";")
		if strings.TrimSpace(name) == "gzip" {
			value, err := strconv.ParseFloat(strings.TrimPrefix(strings.TrimSpace(weight), "q="), 64)
			return err != nil || value > 0
		}
	}
	return false
}
