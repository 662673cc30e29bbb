package httpapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/services/sessions/internal/app/live"
)

const (
	mediaEventStream = "text/event-stream"
	lastEventID      = "Last-Event-ID"
)

// slowReader is how long a client may take to accept what it is sent. Then it is cut off, and resumes.
const slowReader = 10 * time.Second

// When clients of a replica that stops come back, in milliseconds: not all at once.
const (
	minComeBack = 200
	maxComeBack = 3000
)

// follower is a stream of either kind.
type follower interface {
	Next(ctx context.Context) ([]live.Message, error)
	Close()
}

// streamOf sends what the follower says, as events of the HTML standard (section 9.2), until either side ends it.
func (a API) streamOf(c *gin.Context, from follower) {
	c.Header("Content-Type", mediaEventStream)
	c.Header("Cache-Control", "no-store, no-transform")
	c.Header("X-Accel-Buffering", "no") // or nginx would collect what is sent
	err := httpserver.BeginStream(c, slowReader, func(out *httpserver.Stream) error {
		defer from.Close()
		return follow(out, from)
	})
	if err != nil {
		from.Close()
		fail(c, err)
	}
}

// follow returns nil where the stream ended in order or the client is gone.
func follow(out *httpserver.Stream, from follower) error {
	ctx := out.Context()
	for {
		messages, err := from.Next(ctx)
		switch {
		case errors.Is(err, live.ErrDraining):
			_, err = fmt.Fprintf(out, "retry: %d\n\n", minComeBack+rand.IntN(maxComeBack-minComeBack)) //nolint:gosec // Not a secret.
			return cut(err)
		case ctx.Err() != nil, errors.Is(err, live.ErrExpired), errors.Is(err, live.ErrRemoved), errors.Is(err, live.ErrDeleted):
			return nil //nolint:nilerr // The stream is over, as it should be.
		case err != nil:
			return err
		}
		if err := send(out, messages); err != nil {
			return cut(err)
		}
	}
}

func cut(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the client does not take the stream and was cut off: %w", err)
}

// send sends messages; none are a heartbeat.
func send(out *httpserver.Stream, messages []live.Message) error {
	for _, message := range messages {
		if err := writeMessage(out, message); err != nil {
			return err
		}
	}
	if len(messages) == 0 {
		if _, err := out.WriteString(":\n\n"); err != nil {
			return err //nolint:wrapcheck // The caller says what it is.
		}
	}
	return out.Flush() //nolint:wrapcheck // As before.
}

// lineEnds would end a field; in JSON they are spaces between tokens.
var lineEnds = strings.NewReplacer("\r", " ", "\n", " ")

func writeMessage(out *httpserver.Stream, message live.Message) error {
	data := message.Data
	if bytes.ContainsAny(data, "\r\n") {
		data = []byte(lineEnds.Replace(string(data)))
	}
	for _, text := range []string{"id: ", message.ID, "\nevent: ", message.Type, "\ndata: "} {
		if _, err := out.WriteString(text); err != nil {
			return err //nolint:wrapcheck // The caller says what it is.
		}
	}
	_, err := out.Write(data)
	if err == nil {
		_, err = out.WriteString("\n\n")
	}
	return err //nolint:wrapcheck // As before.
}

// wantsStream tells whether the request asks for a stream rather than JSON: where Accept names it, and nothing else that fits more
// (RFC 9110, section 12.5.1).
func wantsStream(header http.Header) bool {
	stream, other := 0.0, 0.0
	for _, value := range header.Values("Accept") {
		for part := range strings.SplitSeq(value, ",") {
			media, params, err := mime.ParseMediaType(part)
			if err != nil {
				continue
			}
			quality := 1.0
			if q, given := params["q"]; given {
				if quality, err = strconv.ParseFloat(q, 64); err != nil {
					continue
				}
			}
			switch media {
			case mediaEventStream:
				stream = max(stream, quality)
			case mediaJSON:
				other = max(other, quality)
			}
		}
	}
	return stream > 0 && stream >= other
}

// watermark returns what a client resumes behind: what its last stream ended with, before what its URL has said from the beginning.
func watermark(c *gin.Context, after string) string {
	if resumed := c.GetHeader(lastEventID); resumed != "" {
		return resumed
	}
	return after
}
