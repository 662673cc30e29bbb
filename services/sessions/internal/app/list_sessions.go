package app

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// ListSessions lists the sessions that the caller is a member of, as their owner or otherwise.
type ListSessions struct {
	Store   ports.SessionStore
	Cursors ports.CursorKeys
	Journal ports.Journal
}

// ListQuery is what a caller asks for.
type ListQuery struct {
	Statuses []events.Status // only these; none: all
	Limit    int             // at least 1
	Cursor   string          // SessionPage.NextCursor of the page before; "" for the first page
}

// SessionPage is a page of the list, newest first.
type SessionPage struct {
	Items        []ports.View
	NextCursor   string // "" on the last page
	EventsCursor string // of the moment before the list was read, for a stream of what happens after; on the first page only
}

// Do returns a page. Sessions that are created meanwhile come before the first page and never move others from page to page. Errors:
// ErrInvalidCursor, ports.ErrUnavailable.
func (uc ListSessions) Do(ctx context.Context, caller domain.Principal, query ListQuery) (SessionPage, error) {
	secret, err := uc.Cursors.CursorKey(ctx)
	if err != nil {
		return SessionPage{}, fmt.Errorf("listing sessions: %w", err)
	}
	list := cursors{secret: secret, kind: listCursor, holder: caller.UserID, filter: filterOf(query.Statuses)}
	request := ports.ListRequest{UserID: caller.UserID, Statuses: query.Statuses, Limit: query.Limit}
	var page SessionPage
	if query.Cursor == "" {
		now, err := uc.Journal.Now(ctx)
		if err != nil {
			return SessionPage{}, fmt.Errorf("listing sessions: %w", err)
		}
		page.EventsCursor = EventCursor{cursors{secret: secret, kind: eventsCursor, holder: caller.UserID}}.Seal(now)
	} else if request.After, err = positionIn(list, query.Cursor); err != nil {
		return SessionPage{}, err
	}
	found, err := uc.Store.List(ctx, request)
	if err != nil {
		return SessionPage{}, err
	}
	page.Items = found.Items
	if found.Next != nil {
		page.NextCursor = list.seal(append(instant(found.Next.CreatedAt), found.Next.SessionID...))
	}
	return page, nil
}

// filterOf writes a filter so that the order of its statuses makes no difference.
func filterOf(statuses []events.Status) string {
	names := make([]string, len(statuses))
	for i, status := range statuses {
		names[i] = string(status)
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ",")
}

const instantSize = 8

// instant writes a time in microseconds.
func instant(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(t.UnixMicro()))
}

func positionIn(list cursors, cursor string) (*ports.Position, error) {
	content, err := list.open(cursor)
	if err != nil {
		return nil, err
	}
	if len(content) < instantSize {
		return nil, ErrInvalidCursor
	}
	micros := int64(binary.BigEndian.Uint64(content)) //nolint:gosec // The bits come back as they went in.
	return &ports.Position{CreatedAt: time.UnixMicro(micros).UTC(), SessionID: string(content[instantSize:])}, nil
}
