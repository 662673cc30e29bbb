package httpapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/domain"
)

// listBody is a page of sessions; null where there is no cursor.
type listBody struct {
	Items        []sessionBody `json:"items"`
	NextCursor   *string       `json:"nextCursor"`
	EventsCursor *string       `json:"eventsCursor"`
}

func (a API) listSessions(c *gin.Context) {
	query, err := listQuery(c.Request.URL)
	if err != nil {
		fail(c, err)
		return
	}
	page, err := a.List.Do(c.Request.Context(), caller(c), query)
	if err != nil {
		fail(c, err)
		return
	}
	body := listBody{Items: make([]sessionBody, len(page.Items)), NextCursor: orNull(page.NextCursor), EventsCursor: orNull(page.EventsCursor)}
	for i, view := range page.Items {
		body.Items[i] = newSessionBody(view)
	}
	answer(c, http.StatusOK, body)
}

func orNull(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// listQuery reads status, limit and cursor.
func listQuery(target *url.URL) (app.ListQuery, error) {
	query := app.ListQuery{Limit: defaultLimit}
	err := readQuery(target, map[string]parameter{
		"limit": limitParameter(&query.Limit),
		"status": func(found *faults, value string) {
			for name := range strings.SplitSeq(value, ",") {
				status := events.Status(name)
				if !domain.KnownStatus(status) {
					found.add("status", domain.FaultValue, "must be statuses of a session, separated by commas")
					return
				}
				if !slices.Contains(query.Statuses, status) {
					query.Statuses = append(query.Statuses, status)
				}
			}
		},
		"cursor": func(found *faults, value string) {
			if value == "" {
				found.add("cursor", domain.FaultRequired, "must be a nextCursor; leave it out for the first page")
			}
			query.Cursor = value
		},
	})
	return query, err
}
