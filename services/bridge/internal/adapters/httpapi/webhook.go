// Package httpapi is what the bridge answers over HTTP: the address that LiveKit sends its webhooks to.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/libs/problem"
	"github.com/callplane/callplane/libs/telemetry"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// WebhookPath is where webhooks are posted.
const WebhookPath = "/livekit/webhook"

// MaxWebhook bounds a webhook's body, in bytes.
const MaxWebhook = 1 << 20

// Handler takes in a webhook that is known to be genuine.
type Handler interface {
	Do(ctx context.Context, w ports.Webhook) error
}

// Webhooks answers the provider.
type Webhooks struct {
	Reader ports.WebhookReader
	Handle Handler
	Tally  ports.Tally
	// Open is closed once the database may be used; until then webhooks are turned away, to be sent again.
	Open <-chan struct{}
}

// Mount adds the route to an engine.
func (w Webhooks) Mount(engine *gin.Engine) {
	engine.POST(WebhookPath, httpserver.MaxBody(MaxWebhook), w.post)
}

// post answers 200 only after everything is stored. The body is never logged: it carries a secret.
func (w Webhooks) post(c *gin.Context) {
	if err := checkMediaType(c.GetHeader("Content-Type")); err != nil {
		w.refuse(c, problem.UnsupportedMediaType.WithDetail("Content-Type must be "+mediaType+" or application/json."), "media_type", err)
		return
	}
	body, err := io.ReadAll(c.Request.Body)
	if err != nil {
		w.refuse(c, bodyProblem(err), "body", err)
		return
	}
	webhook, err := w.Reader.Read(body, c.GetHeader("Authorization"))
	if err != nil {
		p, reason := readProblem(err)
		w.refuse(c, p, reason, err)
		return
	}
	select {
	case <-w.Open:
	default:
		httpserver.Fail(c, problem.Unavailable, errors.New("the database is not ready yet"))
		return
	}
	ctx := telemetry.WithAttrs(c.Request.Context(), slog.String("webhook_id", webhook.ID),
		slog.String("webhook_kind", webhook.Kind), slog.String("room", webhook.RoomName))
	c.Request = c.Request.WithContext(ctx)
	if err := w.Handle.Do(ctx, webhook); err != nil {
		httpserver.Fail(c, handleProblem(err), err)
		return
	}
	c.Status(http.StatusOK)
}

// mediaType is what LiveKit says that its webhooks are.
const mediaType = "application/webhook+json"

// checkMediaType fails where the body is said to be something else than JSON. Where nothing is said the signature alone decides.
func checkMediaType(header string) error {
	if header == "" {
		return nil
	}
	switch media, _, err := mime.ParseMediaType(header); {
	case err != nil:
		return fmt.Errorf("reading the media type: %w", err)
	case media != mediaType && media != "application/json":
		return fmt.Errorf("the media type is %q", media)
	}
	return nil
}

func (w Webhooks) refuse(c *gin.Context, p problem.Problem, reason string, cause error) {
	w.Tally.Refused(reason)
	httpserver.Fail(c, p, cause)
}
