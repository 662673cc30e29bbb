package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"time"
)

const (
	flushInterval  = 500 * time.Millisecond
	requestTimeout = 5 * time.Second
	consumerName   = appID
)

// checkpoints tells sessions how far each session was answered, for people to see and for a program that starts over from the log. Nothing
// here depends on them: what was not answered is still in the queue. So they are told now and then, and again where that failed.
type checkpoints struct {
	set    settings
	client *http.Client
	log    *slog.Logger

	mu  sync.Mutex
	due map[string]string // eventId by session
}

func newCheckpoints(set settings, log *slog.Logger) *checkpoints {
	return &checkpoints{set: set, client: &http.Client{Timeout: requestTimeout}, log: log, due: map[string]string{}}
}

// note remembers the event that was answered last in a session.
func (c *checkpoints) note(sessionID, eventID string) {
	if c.set.APIURL == "" {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.due[sessionID] = eventID
}

// keep tells what is due until ctx ends, then once more.
func (c *checkpoints) keep(ctx context.Context) error {
	defer c.client.CloseIdleConnections()
	tick := time.NewTicker(flushInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			c.flush(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
			defer cancel()
			c.flush(last)
			return nil
		}
	}
}

func (c *checkpoints) flush(ctx context.Context) {
	c.mu.Lock()
	due := maps.Clone(c.due)
	c.mu.Unlock()
	for session, event := range due {
		again, err := c.put(ctx, session, event)
		if err != nil {
			c.log.WarnContext(ctx, "a checkpoint was not kept", "session_id", session, "again", again, "error", err)
		}
		if again {
			continue
		}
		c.mu.Lock()
		if c.due[session] == event {
			delete(c.due, session)
		}
		c.mu.Unlock()
	}
}

// put keeps one checkpoint. again: it may work later; also where the event is not found, since its log may be behind the broker.
func (c *checkpoints) put(ctx context.Context, session, event string) (again bool, err error) {
	body, err := json.Marshal(map[string]string{"eventId": event})
	if err != nil {
		return false, fmt.Errorf("write the body: %w", err)
	}
	address, err := url.JoinPath(c.set.APIURL, "v1/call/sessions", session, "checkpoints", consumerName)
	if err != nil {
		return false, fmt.Errorf("make the URL: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, address, bytes.NewReader(body))
	if err != nil {
		return false, fmt.Errorf("make the request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if c.set.APIUser != "" {
		request.Header.Set("X-User-Id", c.set.APIUser)
		request.Header.Set("X-Scopes", "call:read")
	} else {
		request.Header.Set("Authorization", "Bearer "+c.set.APIToken.Reveal())
	}
	response, err := c.client.Do(request)
	if err != nil {
		return true, fmt.Errorf("ask sessions: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // Nothing of it is read.
	switch {
	case response.StatusCode < http.StatusMultipleChoices:
		return false, nil
	case response.StatusCode == http.StatusNotFound, response.StatusCode == http.StatusTooManyRequests,
		response.StatusCode >= http.StatusInternalServerError:
		return true, fmt.Errorf("sessions answered %s", response.Status)
	}
	return false, fmt.Errorf("sessions answered %s", response.Status)
}
