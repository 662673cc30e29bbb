package postgres

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// The parts of the statement that lists a user's sessions: in the order of an index of members, so that it reads no more than the page.
const (
	listBegin = `
SELECT ` + wholeColumns + `
  FROM members m JOIN sessions s ON s.id = m.session_id
 WHERE m.user_id = @user AND (m.session_created_at, m.session_id) < (@created_at, @session)`
	listOpen     = ` AND m.session_open`
	listStatuses = ` AND s.status IN @statuses`
	listEnd      = `
 ORDER BY m.session_created_at DESC, m.session_id DESC
 LIMIT @limit`
)

// Before the newest session.
const (
	lastInstant = "infinity"
	lastID      = "ffffffff-ffff-ffff-ffff-ffffffffffff"
)

// listStatement returns the statement for a request, and its arguments. It asks for one session more, to know whether there is one.
func listStatement(request ports.ListRequest) (string, map[string]any) {
	args := map[string]any{"user": request.UserID, "created_at": lastInstant, "session": lastID, "limit": request.Limit + 1}
	if p := request.After; p != nil {
		args["created_at"], args["session"] = p.CreatedAt.Format(time.RFC3339Nano), p.SessionID
	}
	if len(request.Statuses) == 0 {
		return listBegin + listEnd, args
	}
	statuses := make([]string, len(request.Statuses))
	for i, status := range request.Statuses {
		statuses[i] = string(status)
	}
	args["statuses"] = statuses
	parts := []string{listBegin, listStatuses, listEnd}
	if !slices.ContainsFunc(request.Statuses, final) {
		parts = slices.Insert(parts, 1, listOpen)
	}
	return strings.Join(parts, ""), args
}

func final(status events.Status) bool {
	return status == events.StatusEnded || status == events.StatusFailed
}

// List implements ports.SessionStore.
func (s *Store) List(ctx context.Context, request ports.ListRequest) (ports.SessionList, error) {
	statement, args := listStatement(request)
	var rows []wholeRow
	if err := s.db.WithContext(ctx).Raw(statement, args).Find(&rows).Error; err != nil {
		return ports.SessionList{}, failed(ctx, "list sessions", err)
	}
	var list ports.SessionList
	if len(rows) > request.Limit {
		rows = rows[:request.Limit]
		last := rows[request.Limit-1].Session
		list.Next = &ports.Position{CreatedAt: last.CreatedAt.UTC(), SessionID: last.ID}
	}
	for _, row := range rows {
		session, err := row.session()
		if err != nil {
			return ports.SessionList{}, err
		}
		list.Items = append(list.Items, ports.View{Session: session, LastEventID: row.Session.LastEventID})
	}
	return list, nil
}

var _ ports.CursorKeys = (*Store)(nil)

// CursorKey implements ports.CursorKeys. It never changes, so it is read once.
func (s *Store) CursorKey(ctx context.Context) ([]byte, error) {
	if secret := s.secret.Load(); secret != nil {
		return *secret, nil
	}
	var row struct{ Secret []byte }
	err := s.db.WithContext(ctx).Raw("SELECT secret FROM cursor_keys WHERE id = 1").Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, errors.New("read the cursors' key: the row that the migrations made is gone")
	}
	if err != nil {
		return nil, failed(ctx, "read the cursors' key", err)
	}
	s.secret.Store(&row.Secret)
	return row.Secret, nil
}
