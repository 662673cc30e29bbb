package httpapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

type pageBody struct {
	Items       []json.RawMessage `json:"items"`
	LastEventID *string           `json:"lastEventId"`
	HasMore     bool              `json:"hasMore"`
}

func (a API) listEvents(c *gin.Context) {
	id := sessionID(c)
	c.Writer.Header().Add("Vary", "Accept")
	if wantsStream(c.Request.Header) {
		a.streamSession(c, id)
		return
	}
	request, err := pageRequest(c.Request.URL)
	if err != nil {
		fail(c, err)
		return
	}
	page, err := a.Events.Do(c.Request.Context(), caller(c), id, request)
	if err != nil {
		fail(c, err)
		return
	}
	answer(c, http.StatusOK, pageBody{Items: page.Items, LastEventID: &page.LastEventID, HasMore: page.HasMore})
}

// pageRequest reads after, limit and types.
func pageRequest(target *url.URL) (ports.PageRequest, error) {
	request := ports.PageRequest{Limit: defaultLimit}
	err := readQuery(target, map[string]parameter{
		"after": func(found *faults, value string) {
			id, ok := parseUUID(value)
			if !ok {
				found.add("after", domain.FaultFormat, "must be the id of an event, a UUID")
			}
			request.After = id
		},
		"limit": limitParameter(&request.Limit),
		"types": func(found *faults, value string) {
			for name := range strings.SplitSeq(value, ",") {
				if !events.Type(name).Known() {
					found.add("types", domain.FaultValue, "must be types of the catalogue, separated by commas")
					return
				}
				request.Types = append(request.Types, events.Type(name))
			}
		},
	})
	return request, err
}
