package httpserver_test

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/httpserver"
)

// A client that looks for the answer only after it has sent everything must be able to see it, and one that waits for a go-ahead must not
// be given one.
func TestTooLargeBodyIsRefusedWhereTheClientSeesIt(t *testing.T) {
	const size = 10 << 20
	engine := httpserver.NewEngine(httpserver.Options{Service: "test", Log: slog.New(slog.DiscardHandler)})
	engine.POST("/", httpserver.MaxBody(1<<20), func(c *gin.Context) {
		_, err := io.ReadAll(c.Request.Body)
		p, ok := httpserver.BodyProblem(err)
		if !ok {
			c.Status(http.StatusOK)
			return
		}
		httpserver.Fail(c, p, err)
	})
	server := httptest.NewServer(engine)
	defer server.Close()
	body := strings.Repeat("x", size)
	for name, sent := range map[string]string{
		"announced":   fmt.Sprintf("Content-Length: %d\r\n\r\n%s", size, body),
		"unannounced": fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", size, body),
		"go-ahead":    fmt.Sprintf("Content-Length: %d\r\nExpect: 100-continue\r\n\r\n", size),
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			require.NoError(t, err)
			defer conn.Close() //nolint:errcheck // Nothing is in hand.
			require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
			_, err = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: test\r\n"+sent)
			require.NoError(t, err, "the body could not be sent to its end")
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			require.NoError(t, err)
			defer answer.Body.Close() //nolint:errcheck // Only read from.
			require.Equal(t, http.StatusRequestEntityTooLarge, answer.StatusCode)
			require.Equal(t, "application/problem+json", answer.Header.Get("Content-Type"))
		})
	}
}
