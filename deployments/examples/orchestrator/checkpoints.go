package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	requestTimeout = 5 * time.Second
	consumerName   = appID

	// Bounds of the pause before sessions is asked again. A log is behind the broker by moments only.
	minPause = 20 * time.Millisecond
	maxPause = 2 * time.Second
	// noisy is the pause from which on a wait is told of.
	noisy = 500 * time.Millisecond

	maxProblem = 64 << 10 // bytes that are read of a refusal

	// Codes of problem documents.
	codeNoSuchSession = "session_not_found"
	codeSetAside      = "watermark_gone"
)

// checkpoints tells sessions how far each session was answered.
type checkpoints struct {
	set    settings
	client *http.Client
	log    *slog.Logger
}

func newCheckpoints(set settings, log *slog.Logger) checkpoints {
	return checkpoints{set: set, client: &http.Client{Timeout: requestTimeout}, log: log}
}

// close gives back idle connections.
func (c checkpoints) close() { c.client.CloseIdleConnections() }

// keep returns nil when sessions holds the checkpoint. It asks again until then: sessions may be away, and its log may be behind the
// broker. An error means that ctx has ended before. A session that does not exist has no checkpoint, and what sessions has set aside is none,
// so that nil is returned.
func (c checkpoints) keep(ctx context.Context, session, event string) error {
	if c.set.APIURL == "" {
		return nil
	}
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = minPause, maxPause
	attempt := func() (struct{}, error) { return struct{}{}, c.put(ctx, session, event) }
	notify := func(err error, next time.Duration) {
		if next >= noisy {
			c.log.WarnContext(ctx, "a checkpoint is not kept yet, everything waits",
				"session_id", session, "event_id", event, "error", err.Error(), "in", next.Round(time.Millisecond))
		}
	}
	_, err := backoff.Retry(ctx, attempt, backoff.WithBackOff(pause), backoff.WithMaxElapsedTime(0), backoff.WithNotify(notify))
	if errors.Is(err, errNoSuchSession) || errors.Is(err, errSetAside) {
		c.log.WarnContext(ctx, "an event goes without a checkpoint", "session_id", session, "event_id", event, "reason", err.Error())
		return nil
	}
	if err != nil {
		return fmt.Errorf("keep the checkpoint %s of session %s: %w", event, session, err)
	}
	return nil
}

var (
	errNoSuchSession = errors.New("sessions knows no such session")
	errSetAside      = errors.New("sessions has set the event aside: it made no valid change, so the log will never hold it")
)

// put asks once.
func (c checkpoints) put(ctx context.Context, session, event string) error {
	request, err := c.request(ctx, session, event)
	if err != nil {
		return backoff.Permanent(err)
	}
	response, err := c.client.Do(request)
	if err != nil {
		return fmt.Errorf("ask sessions: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // It was read as far as it matters.
	text, err := io.ReadAll(io.LimitReader(response.Body, maxProblem))
	if err != nil {
		return fmt.Errorf("read the answer of sessions: %w", err)
	}
	if response.StatusCode == http.StatusOK {
		return nil
	}
	var problem struct {
		Code string `json:"code"`
	}
	if err := json.Unmarshal(text, &problem); err != nil {
		problem.Code = "" // a proxy's answer says no more than its status
	}
	switch {
	case response.StatusCode == http.StatusNotFound && problem.Code == codeNoSuchSession:
		return backoff.Permanent(errNoSuchSession)
	case response.StatusCode == http.StatusGone && problem.Code == codeSetAside:
		return backoff.Permanent(errSetAside)
	}
	return fmt.Errorf("sessions answered %s %s", response.Status, problem.Code)
}

func (c checkpoints) request(ctx context.Context, session, event string) (*http.Request, error) {
	body, err := json.Marshal(map[string]string{"eventId": event})
	if err != nil {
		return nil, fmt.Errorf("write the body: %w", err)
	}
	address, err := url.JoinPath(c.set.APIURL, "v1/call/sessions", session, "checkpoints", consumerName)
	if err != nil {
		return nil, fmt.Errorf("make the URL: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, address, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make the request: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	if c.set.APIUser != "" {
		request.Header.Set("X-User-Id", c.set.APIUser)
		request.Header.Set("X-Scopes", "call:read")
	} else {
		request.Header.Set("Authorization", "Bearer "+c.set.APIToken.Reveal())
	}
	return request, nil
}
