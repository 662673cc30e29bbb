package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// page gets a file of the documentation.
func (b *bundle) page(method, path string, header ...string) (*http.Response, []byte) {
	b.t.Helper()
	request := httptest.NewRequestWithContext(b.t.Context(), method, path, nil)
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	return exchange(b.t, b.engine, request, "")
}

var (
	reference = regexp.MustCompile(`(?:src|href|spec-url)="([^"]*)"`)
	directive = regexp.MustCompile(`^[a-z-]+( ('none'|'self'|'unsafe-inline'|data:))+$`)
	// loads is what would fetch something: of a page, a style sheet or a script.
	loads = regexp.MustCompile(`(?i)(?:src|href)\s*=\s*["']?(?:https?:)?//|@import|url\(["']?(?:https?:)?//|import\(["'](?:https?:)?//|fonts\.g(?:oogleapis|static)`)
)

func TestDocsNeedNothingFromOutside(t *testing.T) {
	b := setup(t)
	response, text := b.page(http.MethodGet, "/docs")
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, "text/html; charset=utf-8", response.Header.Get("Content-Type"))
	policy := response.Header.Get("Content-Security-Policy")
	require.True(t, strings.HasPrefix(policy, "default-src 'none';"))
	for rule := range strings.SplitSeq(policy, "; ") {
		require.Regexp(t, directive, rule, "it names no place but this one")
	}
	require.NotContains(t, policy, "script-src 'unsafe")
	require.NotRegexp(t, loads, string(text))

	references := reference.FindAllStringSubmatch(string(text), -1)
	require.GreaterOrEqual(t, len(references), 3)
	for _, found := range references {
		if strings.HasPrefix(found[1], "data:") {
			continue
		}
		require.NotContains(t, found[1], "//")
		response, text := b.page(http.MethodGet, "/"+found[1])
		require.Equal(t, http.StatusOK, response.StatusCode, found[1])
		require.NotRegexp(t, loads, string(text), found[1])
	}
}

func TestDocsScript(t *testing.T) {
	b := setup(t)
	_, page := b.page(http.MethodGet, "/docs")
	path := "/" + regexp.MustCompile(`docs/[^"]*\.js`).FindString(string(page))
	plain, text := b.page(http.MethodGet, path)
	require.Empty(t, plain.Header.Get("Content-Encoding"))
	require.Equal(t, "text/javascript; charset=utf-8", plain.Header.Get("Content-Type"))
	packed, compressed := b.page(http.MethodGet, path, "Accept-Encoding", "br, gzip;q=0.8")
	require.Equal(t, "gzip", packed.Header.Get("Content-Encoding"))
	require.Equal(t, "Accept-Encoding", packed.Header.Get("Vary"))
	require.Less(t, len(compressed), 300<<10)
	reader, err := gzip.NewReader(bytes.NewReader(compressed))
	require.NoError(t, err)
	unpacked, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.True(t, bytes.Equal(text, unpacked))
	refused, _ := b.page(http.MethodGet, path, "Accept-Encoding", "gzip;q=0")
	require.Empty(t, refused.Header.Get("Content-Encoding"))
	head, _ := b.page(http.MethodHead, path)
	require.Equal(t, strconv.Itoa(len(text)), head.Header.Get("Content-Length"))
	for _, path := range []string{"/docs/x.js", "/docs/index.html", "/docs/..%2fdocs.go", path + ".gz"} {
		response, _ := b.page(http.MethodGet, path)
		require.Equal(t, http.StatusNotFound, response.StatusCode, path)
	}
	license, err := os.ReadFile("docs/LICENSE")
	require.NoError(t, err)
	require.Contains(t, string(license), "Apache License", "it goes where the script goes")
}
