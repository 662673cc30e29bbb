package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

func (a API) createSession(c *gin.Context) {
	var spec domain.Spec
	var once *app.Idempotency[ports.View]
	text, err := readBody(c.Request, []string{mediaJSON})
	if err == nil {
		err = decodeObject(text, form{
			"ownerId":  givenText(&spec.OwnerID),
			"kind":     givenText(&spec.Kind),
			"provider": givenText(&spec.Provider),
			"title":    nullableText(&spec.Title),
			"metadata": objectValue(&spec.Metadata, false),
			"members":  memberList(&spec.Members),
		})
		err = withRules(err, asOwner(caller(c), spec).Check())
	}
	if err == nil {
		once, err = idempotency(c.Request, text, sessionCreated)
	}
	if err != nil {
		fail(c, err)
		return
	}
	response, replayed, err := a.create(c.Request.Context(), caller(c), spec, once)
	if err != nil {
		fail(c, err)
		return
	}
	respond(c, response, replayed)
}

// asOwner names the caller where the spec names nobody.
func asOwner(caller domain.Principal, spec domain.Spec) domain.Spec {
	if spec.OwnerID == "" {
		spec.OwnerID = caller.UserID
	}
	return spec
}

func (a API) create(
	ctx context.Context, caller domain.Principal, spec domain.Spec, once *app.Idempotency[ports.View],
) (response ports.Response, replayed bool, err error) {
	if once != nil {
		return a.Create.DoOnce(ctx, caller, spec, *once)
	}
	view, err := a.Create.Do(ctx, caller, spec)
	if err != nil {
		return ports.Response{}, false, err
	}
	response, err = sessionCreated(view)
	return response, false, err
}

func sessionCreated(view ports.View) (ports.Response, error) {
	body, err := encoded(newSessionBody(view))
	return ports.Response{
		Status:  http.StatusCreated,
		Headers: map[string]string{"Location": sessionsPath + "/" + view.Session.ID(), "ETag": etag(view.Session.Version())},
		Body:    body,
	}, err
}

func (a API) getSession(c *gin.Context) {
	id := sessionID(c)
	view, err := a.Get.Do(c.Request.Context(), caller(c), id)
	if err != nil {
		fail(c, err)
		return
	}
	answerSession(c, http.StatusOK, view)
}

func (a API) updateSession(c *gin.Context) {
	id := sessionID(c)
	var patch domain.Patch
	err := readObject(c.Request, form{
		"status":                textPointer(&patch.Status),
		"endReason":             textPointer(&patch.EndReason),
		"title":                 optionalText(&patch.Title),
		"metadata":              objectValue(&patch.Metadata, true),
		"provider":              textPointer(&patch.Provider),
		"providerRoomId":        textPointer(&patch.ProviderRoomID),
		"providerParticipantId": textPointer(&patch.ProviderParticipantID),
		"providerCallId":        textPointer(&patch.ProviderCallID),
	}, mediaMergePatch, mediaJSON)
	err = withRules(err, patch.Check())
	if err == nil {
		patch.Expect, err = ifMatch(c.Request)
	}
	if err != nil {
		fail(c, err)
		return
	}
	view, err := a.Update.Do(c.Request.Context(), caller(c), id, patch)
	if err != nil {
		fail(c, err)
		return
	}
	answerSession(c, http.StatusOK, view)
}

// sessionBody is a session as callers see it; null where there is nothing.
type sessionBody struct {
	SessionID             string            `json:"sessionId"`
	OwnerID               string            `json:"ownerId"`
	Status                events.Status     `json:"status"`
	Title                 *string           `json:"title"`
	Kind                  events.Kind       `json:"kind"`
	Provider              string            `json:"provider"`
	ProviderRoomID        *string           `json:"providerRoomId"`
	ProviderParticipantID *string           `json:"providerParticipantId"`
	ProviderCallID        *string           `json:"providerCallId"`
	Metadata              json.RawMessage   `json:"metadata"`
	Members               []events.Member   `json:"members"`
	Participants          []participantBody `json:"participants"`
	Version               int64             `json:"version"`
	CreatedAt             time.Time         `json:"createdAt"`
	UpdatedAt             time.Time         `json:"updatedAt"`
	StartedAt             *time.Time        `json:"startedAt"`
	EndedAt               *time.Time        `json:"endedAt"`
	EndReason             *string           `json:"endReason"`
	Error                 *events.ErrorInfo `json:"error"`
	LastEventID           *string           `json:"lastEventId"`
}

type participantBody struct {
	UserID   string          `json:"userId"`
	Identity string          `json:"identity"`
	Status   domain.Presence `json:"status"`
	JoinedAt time.Time       `json:"joinedAt"`
}

func answerSession(c *gin.Context, status int, view ports.View) {
	c.Header("ETag", etag(view.Session.Version()))
	answer(c, status, newSessionBody(view))
}

func newSessionBody(view ports.View) sessionBody {
	s := view.Session.Snapshot()
	body := sessionBody{
		SessionID: s.ID, OwnerID: s.OwnerID, Status: s.Status, Title: s.Title, Kind: s.Kind, Provider: s.Provider, Metadata: s.Metadata,
		Members: s.Members, Participants: make([]participantBody, len(s.Participants)), Version: s.Version, CreatedAt: s.CreatedAt,
		UpdatedAt: s.UpdatedAt, StartedAt: s.StartedAt, EndedAt: s.EndedAt, EndReason: s.EndReason, Error: s.Failure,
		LastEventID: &view.LastEventID,
	}
	if s.Correlation != nil {
		body.ProviderRoomID, body.ProviderParticipantID, body.ProviderCallID = &s.Correlation.RoomID, &s.Correlation.ParticipantID, &s.Correlation.CallID
	}
	for i, p := range s.Participants {
		body.Participants[i] = participantBody{UserID: p.UserID, Identity: p.Identity, Status: p.Presence, JoinedAt: p.JoinedAt}
	}
	return body
}
