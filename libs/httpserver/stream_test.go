package httpserver_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/httpserver"
)

// streaming starts a server whose limits for a request are over at once, and that serves what handle sends.
func streaming(t *testing.T, registry *prometheus.Registry, handle func(*httpserver.Stream) error) (address string, ended <-chan error) {
	t.Helper()
	results := make(chan error, 1)
	engine := httpserver.NewEngine(httpserver.Options{Registerer: registry, HandlerTimeout: time.Millisecond})
	engine.GET("/stream", func(c *gin.Context) {
		stream, err := httpserver.BeginStream(c, 200*time.Millisecond)
		if err == nil {
			err = handle(stream)
		}
		results <- err
	})
	server := httpserver.NewServer(httpserver.ServerOptions{
		Addr: "127.0.0.1:0", Handler: engine, ReadTimeout: 50 * time.Millisecond, WriteTimeout: 50 * time.Millisecond,
	})
	require.NoError(t, server.Start(t.Context()))
	t.Cleanup(func() { require.NoError(t, server.Shutdown(context.Background())) })
	return server.Addr(), results
}

func ask(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
	_, err = io.WriteString(conn, "GET /stream HTTP/1.1\r\nHost: test\r\n\r\n")
	require.NoError(t, err)
	return conn
}

func TestAStreamOutlivesTheLimitsOfARequest(t *testing.T) {
	registry := prometheus.NewRegistry()
	address, ended := streaming(t, registry, func(stream *httpserver.Stream) error {
		select {
		case <-time.After(300 * time.Millisecond): // longer than every limit
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
		_, err := io.WriteString(stream, "late")
		return err
	})
	response, err := http.ReadResponse(bufio.NewReader(ask(t, address)), nil)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, <-ended)
	assert.Equal(t, "late", string(body))
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		assert.NotEqual(t, "http_server_request_duration_seconds", family.GetName(), "a stream has no duration to measure")
	}
}

func TestAStreamEndsWithItsClient(t *testing.T) {
	began := make(chan struct{})
	address, ended := streaming(t, prometheus.NewRegistry(), func(stream *httpserver.Stream) error {
		close(began)
		<-stream.Context().Done()
		return stream.Context().Err()
	})
	conn := ask(t, address)
	<-began
	require.NoError(t, conn.Close())
	require.ErrorIs(t, <-ended, context.Canceled)
}

func TestAClientThatReadsNothingIsCutOff(t *testing.T) {
	address, ended := streaming(t, prometheus.NewRegistry(), func(stream *httpserver.Stream) error {
		part := strings.Repeat("x", 1<<20)
		for {
			if _, err := io.WriteString(stream, part); err != nil {
				return err
			}
		}
	})
	ask(t, address)
	var timeout net.Error
	require.ErrorAs(t, <-ended, &timeout)
	require.True(t, timeout.Timeout())
}
