package httpapi

import (
	"context"
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

func (a API) postEvent(c *gin.Context) {
	id := sessionID(c)
	var event app.PostedEvent
	var once *app.Idempotency[app.Logged]
	text, err := readBody(c.Request, []string{mediaJSON})
	if err == nil {
		err = decodeObject(text, eventForm(&event, id), "type", "payload")
	}
	if err == nil {
		once, err = idempotency(c.Request, text, eventLogged)
	}
	if err != nil {
		fail(c, err)
		return
	}
	response, replayed, err := a.post(c.Request.Context(), caller(c), id, event, once)
	if err != nil {
		fail(c, err)
		return
	}
	respond(c, response, replayed)
}

// eventForm takes an event for the session with the given id. Whoever sends back what they have read may leave the whole envelope as it is.
func eventForm(event *app.PostedEvent, id string) form {
	return form{
		"eventId":   uuidField(&event.EventID),
		"timestamp": givenText(&event.Timestamp),
		"sessionId": func(found *faults, pointer string, value jsontext.Value) {
			before := len(*found)
			var of string
			uuidField(&of)(found, pointer, value)
			if len(*found) == before && of != id {
				found.add(pointer, domain.FaultValue, "must be the session of the path")
			}
		},
		"type": func(found *faults, pointer string, value jsontext.Value) {
			name, ok := text(found, pointer, value)
			if ok && !events.Type(name).Known() {
				found.add(pointer, domain.FaultValue, "must be a type of the catalogue")
			}
			event.Type = events.Type(name)
		},
		"actor":   func(*faults, string, jsontext.Value) {}, // it is the caller, whatever is said here
		"payload": objectValue(&event.Payload, false),
		"version": givenText(&event.Version),
	}
}

func (a API) post(
	ctx context.Context, caller domain.Principal, id string, event app.PostedEvent, once *app.Idempotency[app.Logged],
) (response ports.Response, replayed bool, err error) {
	if once != nil {
		return a.PostEvent.DoOnce(ctx, caller, id, event, *once)
	}
	logged, err := a.PostEvent.Do(ctx, caller, id, event)
	if err != nil {
		return ports.Response{}, false, err
	}
	response, err = eventLogged(logged)
	return response, false, err
}

func eventLogged(logged app.Logged) (ports.Response, error) {
	status := http.StatusOK
	if logged.New {
		status = http.StatusCreated
	}
	return ports.Response{Status: status, Body: append(slices.Clone(logged.JSON), '\n')}, nil
}
