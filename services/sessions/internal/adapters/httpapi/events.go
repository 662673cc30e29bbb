package httpapi

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/problem"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// The bounds of a page.
const (
	defaultLimit = 50
	maxLimit     = 200
)

type pageBody struct {
	Items       []json.RawMessage `json:"items"`
	LastEventID *string           `json:"lastEventId"`
	HasMore     bool              `json:"hasMore"`
}

func (a API) listEvents(c *gin.Context) {
	id, ok := sessionID(c)
	if !ok {
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

// pageRequest reads after, limit and types. In errors the pointer is the parameter's name.
func pageRequest(target *url.URL) (ports.PageRequest, error) {
	request := ports.PageRequest{Limit: defaultLimit}
	var found faults
	query, err := url.ParseQuery(target.RawQuery)
	if err != nil {
		return request, problem.InvalidRequest.WithDetail("The query of the URL can't be read.")
	}
	for name, values := range query {
		if _, known := pageParameters[name]; known && len(values) > 1 {
			found.add(name, domain.FaultDuplicate, "must be given once")
		}
	}
	for _, name := range []string{"after", "limit", "types"} {
		if query.Has(name) {
			pageParameters[name](&found, &request, query.Get(name))
		}
	}
	if len(found) > 0 {
		return request, problem.InvalidRequest.WithErrors(found...)
	}
	return request, nil
}

var pageParameters = map[string]func(found *faults, request *ports.PageRequest, value string){
	"after": func(found *faults, request *ports.PageRequest, value string) {
		id, ok := parseUUID(value)
		if !ok {
			found.add("after", domain.FaultFormat, "must be the id of an event, a UUID")
		}
		request.After = id
	},
	"limit": func(found *faults, request *ports.PageRequest, value string) {
		limit, err := strconv.Atoi(value)
		if err != nil || limit < 1 || limit > maxLimit {
			found.add("limit", domain.FaultValue, "must be 1 to "+strconv.Itoa(maxLimit))
		}
		request.Limit = limit
	},
	"types": func(found *faults, request *ports.PageRequest, value string) {
		for name := range strings.SplitSeq(value, ",") {
			if !events.Type(name).Known() {
				found.add("types", domain.FaultValue, "must be types of the catalogue, separated by commas")
				return
			}
			request.Types = append(request.Types, events.Type(name))
		}
	},
}
