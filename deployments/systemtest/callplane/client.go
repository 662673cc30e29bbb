// Package callplane is a small client of the sessions service's HTTP API: what the demo and the system tests call it with.
package callplane

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	// maxBody bounds what is read of an answer: an events page of 200 envelopes of 256 KiB doesn't fit, and nobody asks for one here.
	maxBody = 16 << 20
	// callTimeout is the deadline of one call where the caller's context has a later one or none.
	callTimeout = 15 * time.Second
	// mergePatch is the media type of RFC 7396.
	mergePatch = "application/merge-patch+json"
)

// Client speaks for one user (or service principal): in AUTH_MODE=dev by name, otherwise by a bearer token. It may be used by several
// goroutines at once.
type Client struct {
	base   string
	user   string
	scopes []string
	bearer string
	http   *http.Client
}

// New gives a client for the API at base (scheme, host and port, no path), speaking for nobody until As.
func New(base string) *Client {
	return NewVia(base, &http.Transport{MaxIdleConnsPerHost: 8, IdleConnTimeout: callTimeout})
}

// NewVia is New with the calls going through a transport of the caller's.
func NewVia(base string, transport http.RoundTripper) *Client {
	return &Client{base: strings.TrimRight(base, "/"), http: &http.Client{Timeout: callTimeout, Transport: transport}}
}

// As gives a client of the same API that speaks for the user, with the scopes given.
func (c *Client) As(user string, scopes ...string) *Client {
	return &Client{base: c.base, user: user, scopes: scopes, http: c.http}
}

// Bearer gives a client of the same API that shows a token of AUTH_MODE=jwt.
func (c *Client) Bearer(token string) *Client {
	return &Client{base: c.base, bearer: token, http: c.http}
}

// User is whom the client speaks for.
func (c *Client) User() string { return c.user }

// Base is the API's address.
func (c *Client) Base() string { return c.base }

// Close gives back idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Create creates a session, owned by the client's user. A refusal is a *Problem.
func (c *Client) Create(ctx context.Context, n NewSession) (Session, error) {
	return c.session(ctx, request{method: http.MethodPost, path: "/v1/call/sessions", body: n, want: http.StatusCreated})
}

// CreateOnce is Create with an Idempotency-Key, so that it may be repeated; replayed says that the answer is that of an earlier request.
func (c *Client) CreateOnce(ctx context.Context, key string, n NewSession) (session Session, replayed bool, err error) {
	r := request{
		method: http.MethodPost, path: "/v1/call/sessions", body: n, want: http.StatusCreated, header: http.Header{"Idempotency-Key": {key}},
	}
	header, err := c.do(ctx, r, &session)
	session.ETag, session.Location = header.Get("ETag"), header.Get("Location")
	return session, header.Get("Idempotency-Replayed") == "true", err
}

// List reads a page of the client's user's sessions, newest first: from the cursor of the page before, or the first one; limit 0 is the
// API's default. A refusal is a *Problem.
func (c *Client) List(ctx context.Context, cursor string, limit int, statuses ...string) (SessionPage, error) {
	query := url.Values{}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	if len(statuses) > 0 {
		query.Set("status", strings.Join(statuses, ","))
	}
	var page SessionPage
	_, err := c.do(ctx, request{method: http.MethodGet, path: "/v1/call/sessions?" + query.Encode(), want: http.StatusOK}, &page)
	return page, err
}

// Get reads a session as the client's user sees it. A refusal is a *Problem.
func (c *Client) Get(ctx context.Context, sessionID string) (Session, error) {
	return c.session(ctx, request{method: http.MethodGet, path: sessionPath(sessionID), want: http.StatusOK})
}

// Update sends a merge patch (RFC 7396), with If-Match where ifMatch isn't empty. A refusal is a *Problem.
func (c *Client) Update(ctx context.Context, sessionID, ifMatch string, changes map[string]any) (Session, error) {
	r := request{method: http.MethodPatch, path: sessionPath(sessionID), body: changes, mediaType: mergePatch, want: http.StatusOK}
	if ifMatch != "" {
		r.header = http.Header{"If-Match": {ifMatch}}
	}
	return c.session(ctx, r)
}

// SetMember makes a user a member with the role, or changes theirs, and says whether they are new. A refusal is a *Problem.
func (c *Client) SetMember(ctx context.Context, sessionID string, member Member) (added bool, err error) {
	r := request{method: http.MethodPut, path: memberPath(sessionID, member.UserID), body: map[string]string{"role": member.Role}}
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return false, err
	}
	a, err := c.exchange(req)
	if err != nil {
		return false, err
	}
	if a.status != http.StatusOK && a.status != http.StatusCreated {
		return false, a.refusal(req)
	}
	return a.status == http.StatusCreated, nil
}

// RemoveMember takes a member off the session. A refusal is a *Problem.
func (c *Client) RemoveMember(ctx context.Context, sessionID, userID string) error {
	_, err := c.do(ctx, request{method: http.MethodDelete, path: memberPath(sessionID, userID), want: http.StatusNoContent}, nil)
	return err
}

// Token asks for a token to join the session's call with. A refusal is a *Problem.
func (c *Client) Token(ctx context.Context, sessionID string, r TokenRequest) (Token, error) {
	var token Token
	_, err := c.do(ctx, request{method: http.MethodPost, path: sessionPath(sessionID) + "/token", body: r, want: http.StatusOK}, &token)
	return token, err
}

// Events reads the page of the session's log after the watermark (from the beginning where it is empty); limit 0 is the API's default.
// A refusal is a *Problem.
func (c *Client) Events(ctx context.Context, sessionID, after string, limit int, types ...string) (EventPage, error) {
	query := url.Values{}
	if after != "" {
		query.Set("after", after)
	}
	if limit > 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	if len(types) > 0 {
		query.Set("types", strings.Join(types, ","))
	}
	path := sessionPath(sessionID) + "/events"
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	var page EventPage
	_, err := c.do(ctx, request{method: http.MethodGet, path: path, want: http.StatusOK}, &page)
	return page, err
}

// Post logs an event of the type in the session's log. A refusal is a *Problem.
func (c *Client) Post(ctx context.Context, sessionID, eventType string, payload any) (Event, error) {
	var logged Event
	_, err := c.do(ctx, request{
		method: http.MethodPost, path: sessionPath(sessionID) + "/events", want: http.StatusCreated,
		body: map[string]any{"type": eventType, "payload": payload},
	}, &logged)
	return logged, err
}

// PostOnce is Post with an id of the caller's, so that it may be repeated: the event is logged once.
func (c *Client) PostOnce(ctx context.Context, sessionID, eventID, eventType string, payload any) (Event, error) {
	var logged Event
	_, err := c.do(ctx, request{
		method: http.MethodPost, path: sessionPath(sessionID) + "/events", want: http.StatusCreated, again: http.StatusOK,
		body: map[string]any{"eventId": eventID, "type": eventType, "payload": payload},
	}, &logged)
	return logged, err
}

// Checkpoint reads the id of the event that the client's principal has kept for a consumer. A refusal is a *Problem.
func (c *Client) Checkpoint(ctx context.Context, sessionID, consumer string) (string, error) {
	var kept struct {
		EventID string `json:"eventId"`
	}
	path := sessionPath(sessionID) + "/checkpoints/" + url.PathEscape(consumer)
	_, err := c.do(ctx, request{method: http.MethodGet, path: path, want: http.StatusOK}, &kept)
	return kept.EventID, err
}

// Log reads the session's whole log, page by page.
func (c *Client) Log(ctx context.Context, sessionID string) ([]Event, error) {
	var all []Event
	after := ""
	for {
		page, err := c.Events(ctx, sessionID, after, 200)
		if err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if !page.HasMore || len(page.Items) == 0 {
			return all, nil
		}
		after = page.Items[len(page.Items)-1].EventID
	}
}

// Ready reads /readyz: the status code, and the JSON body as it is. Both 200 and 503 are answers, not errors.
func (c *Client) Ready(ctx context.Context) (int, json.RawMessage, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base+"/readyz", nil)
	if err != nil {
		return 0, nil, fmt.Errorf("making the request for /readyz: %w", err)
	}
	a, err := c.exchange(req)
	return a.status, a.body, err
}

// request is one call of the API.
type request struct {
	method, path string
	mediaType    string
	header       http.Header
	body         any
	want         int
	again        int // the status of a repeat, where it is another
}

func sessionPath(sessionID string) string { return "/v1/call/sessions/" + url.PathEscape(sessionID) }

func memberPath(sessionID, userID string) string {
	return sessionPath(sessionID) + "/members/" + url.PathEscape(userID)
}

// session makes a call that answers with a session.
func (c *Client) session(ctx context.Context, r request) (Session, error) {
	var s Session
	header, err := c.do(ctx, r, &s)
	if err != nil {
		return Session{}, err
	}
	s.ETag = header.Get("ETag")
	s.Location = header.Get("Location")
	return s, nil
}

// do makes the call, decodes the answer that is wanted into out and gives its headers; a problem document is returned as *Problem.
func (c *Client) do(ctx context.Context, r request, out any) (http.Header, error) {
	req, err := c.newRequest(ctx, r)
	if err != nil {
		return nil, err
	}
	a, err := c.exchange(req)
	if err != nil {
		return nil, err
	}
	if a.status != r.want && (r.again == 0 || a.status != r.again) {
		return nil, a.refusal(req)
	}
	if out == nil {
		return a.header, nil
	}
	if err := json.Unmarshal(a.body, out); err != nil {
		return nil, fmt.Errorf("%s %s: reading the answer: %w", r.method, req.URL.Path, err)
	}
	return a.header, nil
}

func (c *Client) newRequest(ctx context.Context, r request) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		encoded, err := json.Marshal(r.body)
		if err != nil {
			return nil, fmt.Errorf("%s %s: encoding the body: %w", r.method, r.path, err)
		}
		body = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.base+r.path, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: making the request: %w", r.method, r.path, err)
	}
	for name, values := range r.header {
		req.Header[name] = values
	}
	if body != nil {
		mediaType := r.mediaType
		if mediaType == "" {
			mediaType = "application/json"
		}
		req.Header.Set("Content-Type", mediaType)
	}
	if c.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	if c.user != "" {
		req.Header.Set("X-User-Id", c.user)
	}
	if len(c.scopes) > 0 {
		req.Header.Set("X-Scopes", strings.Join(c.scopes, " "))
	}
	return req, nil
}

// answer is an answer that was read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// exchange sends the request and reads the whole answer, bounded.
func (c *Client) exchange(req *http.Request) (answer, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return answer{}, fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxBody))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return answer{}, fmt.Errorf("%s %s: reading the answer: %w", req.Method, req.URL.Path, err)
	}
	return answer{status: res.StatusCode, header: res.Header, body: body}, nil
}

// refusal turns an answer that isn't the one wanted into an error: the *Problem it carries, or what it is instead.
func (a answer) refusal(req *http.Request) error {
	mediaType, _, _ := mime.ParseMediaType(a.header.Get("Content-Type"))
	if mediaType != "application/problem+json" {
		return fmt.Errorf("%s %s answered %d with %q instead of a problem document: %.200s",
			req.Method, req.URL.Path, a.status, mediaType, a.body)
	}
	var p Problem
	if err := json.Unmarshal(a.body, &p); err != nil {
		return fmt.Errorf("%s %s answered %d with a problem document that can't be read: %w", req.Method, req.URL.Path, a.status, err)
	}
	p.Method, p.Path, p.RetryAfter, p.Challenge = req.Method, req.URL.Path, a.header.Get("Retry-After"), a.header.Get("WWW-Authenticate")
	return &p
}
