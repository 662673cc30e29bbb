package httpapi

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/callplane/callplane/libs/problem"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

const (
	idempotencyKeyHeader      = "Idempotency-Key"
	idempotencyReplayedHeader = "Idempotency-Replayed"
)

// The two ways to write a key: as a string of RFC 9651 (section 3.3.3), which the IETF's draft asks for, and bare, which is widespread.
var (
	quotedKey = regexp.MustCompile(`^"((?:[!#-\[\]-~]|\\["\\]){1,255})"$`)
	bareKey   = regexp.MustCompile(`^[!#-~][!-~]{0,254}$`)
	unescape  = strings.NewReplacer(`\"`, `"`, `\\`, `\`)
)

// idempotency reads Idempotency-Key (draft-ietf-httpapi-idempotency-key-header). It returns nil where the request has none. The body, given
// as it was read, must be valid JSON or empty.
func idempotency[Done any](
	r *http.Request, body []byte, respond func(Done) (ports.Response, error),
) (*app.Idempotency[Done], error) {
	values := r.Header.Values(idempotencyKeyHeader)
	if len(values) == 0 {
		return nil, nil
	}
	key := values[0]
	if quoted := quotedKey.FindStringSubmatch(key); quoted != nil {
		key = unescape.Replace(quoted[1])
	} else if !bareKey.MatchString(key) {
		key = ""
	}
	if key == "" || len(values) > 1 {
		return nil, problem.InvalidRequest.WithErrors(problem.FieldError{
			Pointer: idempotencyKeyHeader, Code: domain.FaultFormat, Message: "must be one key of 1 to 255 visible ASCII characters, in quotes or bare",
		})
	}
	fingerprint, err := fingerprintOf(r, body)
	if err != nil {
		return nil, err
	}
	return &app.Idempotency[Done]{Key: key, Fingerprint: fingerprint, Respond: respond}, nil
}

// fingerprintOf tells a request from others: its method, target and body. Spaces and the order of members make no difference; numbers are
// compared as they are written, since doubles would make different ones the same.
func fingerprintOf(r *http.Request, body []byte) ([sha256.Size]byte, error) {
	canonical := jsontext.Value(bytes.Clone(body))
	if len(canonical) > 0 {
		err := canonical.Canonicalize(jsontext.CanonicalizeRawInts(false), jsontext.CanonicalizeRawFloats(false))
		if err != nil {
			return [sha256.Size]byte{}, fmt.Errorf("canonicalize a body that was read: %w", err)
		}
	}
	return sha256.Sum256(fmt.Appendf(nil, "%s %s\n%s", r.Method, r.URL.RequestURI(), canonical)), nil
}

// respond sends a response, and says so where it is another request's.
func respond(c *gin.Context, response ports.Response, replayed bool) {
	for name, value := range response.Headers {
		c.Header(name, value)
	}
	if replayed {
		c.Header(idempotencyReplayedHeader, "true")
	}
	c.Header("Cache-Control", "no-store")
	c.Data(response.Status, "application/json; charset=utf-8", response.Body)
}

// encoded is a JSON body as answer writes it.
func encoded(body any) ([]byte, error) {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		return nil, fmt.Errorf("encode a body: %w", err)
	}
	return text.Bytes(), nil
}
