// Package replay sends what a real LiveKit server once sent: recorded webhooks, made out to a session's room and people, signed afresh.
package replay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/livekit/protocol/auth"
)

// TURNPassword stands in every recording where the server's own secret was. Nothing may ever keep or log it.
const TURNPassword = "fake-turn-password-that-must-never-be-kept"

const (
	// signatureTTL is what LiveKit gives a webhook's signature.
	signatureTTL = 5 * time.Minute
	sendTimeout  = 15 * time.Second
	contentType  = "application/webhook+json"
)

//go:embed testdata/*.jsonl
var recordings embed.FS

// names are the provider's ids: room, participant, track and webhook.
var names = regexp.MustCompile(`"((?:RM|PA|TR|EV)_)([A-Za-z0-9]+)"`)

// Recording is the bodies of a call's webhooks, in the order they came.
type Recording [][]byte

// Load reads the recording of that name: clean, remove, empty or delete.
func Load(name string) (Recording, error) {
	text, err := recordings.ReadFile("testdata/" + name + ".jsonl")
	if err != nil {
		return nil, fmt.Errorf("reading the recording %s: %w", name, err)
	}
	var all Recording
	for line := range strings.Lines(string(text)) {
		var entry struct {
			Body string `json:"body"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			return nil, fmt.Errorf("reading the recording %s: %w", name, err)
		}
		all = append(all, []byte(entry.Body))
	}
	return all, nil
}

// For makes the recording out to a room and to people: room is the name that every webhook then speaks of, identities gives the new
// identity for each recorded one, and suffix makes the provider's own ids unique. All else stays byte by byte.
func (r Recording) For(room string, identities map[string]string, suffix string) Recording {
	made := make(Recording, len(r))
	for i, body := range r {
		text := names.ReplaceAllString(string(body), `"${1}${2}`+suffix+`"`)
		text = roomName.ReplaceAllString(text, `"name":`+quoted(room))
		for from, to := range identities {
			text = strings.ReplaceAll(text, `"identity":`+quoted(from), `"identity":`+quoted(to))
		}
		made[i] = []byte(text)
	}
	return made
}

// Renumbered gives the same facts under webhook ids of their own, as a server that sends them once more does.
func (r Recording) Renumbered(suffix string) Recording {
	made := make(Recording, len(r))
	for i, body := range r {
		made[i] = webhookIDs.ReplaceAll(body, []byte(`"${1}`+suffix+`"`))
	}
	return made
}

var webhookIDs = regexp.MustCompile(`"(EV_[A-Za-z0-9]+)"`)

// roomName matches the recorded rooms' names, not those of tracks.
var roomName = regexp.MustCompile(`"name":"room-[a-z]+"`)

func quoted(s string) string {
	text, _ := json.Marshal(s) // A string can always be encoded.
	return string(text)
}

// Sign gives the Authorization header of a webhook with this body, as LiveKit makes it.
func Sign(key, secret string, body []byte) (string, error) {
	sum := sha256.Sum256(body)
	token, err := auth.NewAccessToken(key, secret).
		SetValidFor(signatureTTL).
		SetSha256(base64.StdEncoding.EncodeToString(sum[:])).
		ToJWT()
	if err != nil {
		return "", fmt.Errorf("signing a webhook: %w", err)
	}
	return token, nil
}

// Answer is what a receiver said.
type Answer struct {
	Status      int
	ContentType string
	Body        []byte
}

// Send posts a body to the receiver at url with that Authorization header (none where it is empty).
func Send(ctx context.Context, url, authorization string, body []byte) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("making a webhook: %w", err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Close = true // Each webhook on its own: a refusal may leave the connection unusable.
	if authorization != "" {
		req.Header.Set("Authorization", authorization)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("sending a webhook: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return Answer{}, fmt.Errorf("reading the answer to a webhook: %w", err)
	}
	return Answer{Status: res.StatusCode, ContentType: res.Header.Get("Content-Type"), Body: text}, nil
}
