package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/libs/problem"
	"github.com/callplane/callplane/services/bridge/internal/adapters/httpapi"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

const bodySecret = "a-secret-of-the-room"

// fake reads every body as a webhook and remembers what it was asked to handle.
type fake struct {
	mediaType string // of the request, "" where it says none
	readErr   error
	handleErr error
	handled   []ports.Webhook
	refused   []string
}

func (f *fake) Read(_ []byte, authorization string) (ports.Webhook, error) {
	return ports.Webhook{ID: "EV_1", Kind: "room_started", RoomName: "call-" + authorization}, f.readErr
}

func (f *fake) Do(_ context.Context, w ports.Webhook) error {
	f.handled = append(f.handled, w)
	return f.handleErr
}

func (f *fake) Refused(reason string)   { f.refused = append(f.refused, reason) }
func (*fake) Webhook(_, _ string)       {}
func (*fake) Token(string)              {}
func (*fake) Presence(string)           {}
func (*fake) SessionEvent(string)       {}
func (*fake) RoomDeletion(string)       {}
func (*fake) Enforcement(_, _ string)   {}
func (*fake) Window(string)             {}
func (*fake) Reconciliation(string)     {}
func (*fake) Reconciled(time.Duration)  {}
func (*fake) Difference(string)         {}
func (*fake) EventMade(string)          {}
func (*fake) EmissionRefused(string)    {}
func (*fake) ProviderReachable(bool)    {}
func (*fake) RoomsUnanswered(int)       {}
func (*fake) RoomsUndeleted(int)        {}
func (*fake) ClockOffset(time.Duration) {}

// post sends a body to an engine with the route, and returns the answer and the log.
func (f *fake) post(t *testing.T, open bool, body []byte) (*httptest.ResponseRecorder, string) {
	t.Helper()
	var log bytes.Buffer
	engine := httpserver.NewEngine(httpserver.Options{Service: "test", Log: slog.New(slog.NewJSONHandler(&log, nil))})
	ready := make(chan struct{})
	if open {
		close(ready)
	}
	httpapi.Webhooks{Reader: f, Handle: f, Tally: f, Open: ready}.Mount(engine)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, httpapi.WebhookPath, bytes.NewReader(body))
	request.Header.Set("Authorization", "signature")
	if f.mediaType != "" {
		request.Header.Set("Content-Type", f.mediaType)
	}
	answer := httptest.NewRecorder()
	engine.ServeHTTP(answer, request)
	return answer, log.String()
}

func TestAGenuineWebhookIsHandledBeforeItIsAnswered(t *testing.T) {
	f := &fake{}
	answer, log := f.post(t, true, []byte(bodySecret))
	require.Equal(t, http.StatusOK, answer.Code)
	require.Equal(t, []ports.Webhook{{ID: "EV_1", Kind: "room_started", RoomName: "call-signature"}}, f.handled)
	require.NotContains(t, log, bodySecret)
}

func TestProblems(t *testing.T) {
	largest := bytes.Repeat([]byte("x"), httpapi.MaxWebhook)
	cases := map[string]struct {
		fake    fake
		closed  bool
		body    []byte
		status  int
		code    string
		retry   bool
		refused []string
	}{
		"largest":                {body: largest, status: http.StatusOK},
		"too large":              {body: append(largest, 'x'), status: http.StatusRequestEntityTooLarge, code: "payload_too_large", refused: []string{"body"}},
		"unauthentic":            {fake: fake{readErr: fmt.Errorf("x: %w", ports.ErrUnauthentic)}, status: http.StatusUnauthorized, code: "unauthenticated", refused: []string{"signature"}},
		"malformed":              {fake: fake{readErr: ports.ErrMalformed}, status: http.StatusBadRequest, code: "invalid_json", refused: []string{"malformed"}},
		"not open yet":           {closed: true, status: http.StatusServiceUnavailable, code: "unavailable", retry: true},
		"database away":          {fake: fake{handleErr: fmt.Errorf("x: %w", ports.ErrUnavailable)}, status: http.StatusServiceUnavailable, code: "unavailable", retry: true},
		"too slow":               {fake: fake{handleErr: context.DeadlineExceeded}, status: http.StatusServiceUnavailable, code: "unavailable", retry: true},
		"as LiveKit declares it": {fake: fake{mediaType: "application/webhook+json"}, status: http.StatusOK},
		"plain JSON":             {fake: fake{mediaType: "application/json; charset=utf-8"}, status: http.StatusOK},
		"another media type": {
			fake: fake{mediaType: "text/plain"}, status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", refused: []string{"media_type"},
		},
		"no media type at all": {
			fake: fake{mediaType: "json"}, status: http.StatusUnsupportedMediaType, code: "unsupported_media_type", refused: []string{"media_type"},
		},
		"our own fault": {fake: fake{handleErr: errors.New("a bug")}, status: http.StatusInternalServerError, code: "internal"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			f := &tc.fake
			body := append([]byte(bodySecret), tc.body...)
			if tc.body != nil {
				body = tc.body
			}
			answer, log := f.post(t, !tc.closed, body)
			require.Equal(t, tc.status, answer.Code)
			require.Equal(t, tc.refused, f.refused)
			require.NotContains(t, log+answer.Body.String(), bodySecret)
			if tc.status == http.StatusOK {
				return
			}
			require.Equal(t, problem.ContentType, answer.Header().Get("Content-Type"))
			var p problem.Problem
			require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &p))
			require.Equal(t, tc.code, p.Code)
			require.Equal(t, tc.retry, p.Retryable)
			require.NotEmpty(t, p.RequestID)
			if f.handleErr != nil {
				require.Equal(t, 1, strings.Count(log, f.handleErr.Error()), "errors are logged once")
			}
		})
	}
}
