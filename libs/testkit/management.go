package testkit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// Management is a client of RabbitMQ's management API (https://www.rabbitmq.com/docs/http-api-reference), as the administrator.
type Management struct {
	base, user, password string
}

// StatusError is an answer of the management API that is not a success.
type StatusError struct {
	Method, Path string
	Status       int
	Body         string
}

// Error implements error.
func (e *StatusError) Error() string {
	return fmt.Sprintf("RabbitMQ management: %s %s: status %d: %s", e.Method, e.Path, e.Status, e.Body)
}

// Do sends in as JSON, where it isn't nil, and decodes the answer into out, where that isn't nil. path is escaped and begins with /api/.
func (m *Management) Do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("RabbitMQ management: %w", err)
		}
		body = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, m.base+path, body) //nolint:gosec // The test's own broker.
	if err != nil {
		return fmt.Errorf("RabbitMQ management: %w", err)
	}
	request.SetBasicAuth(m.user, m.password)
	request.Header.Set("Content-Type", "application/json")
	// A connection of its own for each request, so that none is left over when the tests end.
	request.Close = true
	response, err := http.DefaultClient.Do(request) //nolint:gosec // As above.
	if err != nil {
		return fmt.Errorf("RabbitMQ management: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // Only read from.
	answer, err := io.ReadAll(io.LimitReader(response.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("RabbitMQ management: %w", err)
	}
	if response.StatusCode >= 300 {
		return &StatusError{Method: method, Path: path, Status: response.StatusCode, Body: string(answer)}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("RabbitMQ management: %s %s: %w", method, path, err)
	}
	return nil
}

// Get decodes the answer of a GET, and fails the test where there is none.
func (m *Management) Get(t testing.TB, path string, out any) {
	t.Helper()
	m.must(t, http.MethodGet, path, nil, out)
}

func (m *Management) must(t testing.TB, method, path string, in, out any) {
	t.Helper()
	if err := m.Do(Context(t, 20*time.Second), method, path, in, out); err != nil {
		t.Fatalf("testkit: %v", err)
	}
}

// Connection is an AMQP connection as the broker lists it.
type Connection struct {
	Name             string         `json:"name"`
	User             string         `json:"user"`
	Vhost            string         `json:"vhost"`
	ClientProperties map[string]any `json:"client_properties"`
}

// Connections lists the connections to this virtual host. The broker's list lags behind by up to some seconds.
func (v *Vhost) Connections(t testing.TB) []Connection {
	t.Helper()
	list, err := v.connections(Context(t, 20*time.Second))
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	return list
}

func (v *Vhost) connections(ctx context.Context) ([]Connection, error) {
	var list []Connection
	err := v.Broker.Management.Do(ctx, http.MethodGet, "/api/vhosts/"+url.PathEscape(v.Name)+"/connections", nil, &list)
	return list, err
}

// CutConnections has the broker close every connection of a user to this virtual host, and waits until it knew of at least one.
func (v *Vhost) CutConnections(t testing.TB, user string) {
	t.Helper()
	Eventually(t, 20*time.Second, func(ctx context.Context) error {
		list, err := v.connections(ctx)
		if err != nil {
			return err
		}
		cut := 0
		for _, connection := range list {
			if connection.User != user {
				continue
			}
			path := "/api/connections/" + url.PathEscape(connection.Name)
			if err := v.Broker.Management.Do(ctx, http.MethodDelete, path, nil, nil); err == nil {
				cut++
			}
		}
		if cut == 0 {
			return fmt.Errorf("the broker lists no connection of %s", user)
		}
		return nil
	})
}

// Queue is a queue as the broker lists it.
type Queue struct {
	Name      string         `json:"name"`
	Type      string         `json:"type"`
	Durable   bool           `json:"durable"`
	Messages  int            `json:"messages"`
	Ready     int            `json:"messages_ready"`
	Unacked   int            `json:"messages_unacknowledged"`
	Consumers int            `json:"consumers"`
	Arguments map[string]any `json:"arguments"`
}

// Queues lists the queues of this virtual host. Counts lag behind by up to some seconds.
func (v *Vhost) Queues(t testing.TB) []Queue {
	t.Helper()
	var list []Queue
	v.Broker.Management.Get(t, "/api/queues/"+url.PathEscape(v.Name)+"?disable_stats=false", &list)
	return list
}
