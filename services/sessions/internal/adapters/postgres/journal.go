package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

var _ ports.Journal = (*Store)(nil)

// loggedColumns are what ports.Logged is made of, of an event e.
const loggedColumns = `e.seq, e.event_id, e.type, e.logged_at, e.envelope,
       CASE WHEN e.type = 'call.member.removed' THEN e.envelope->'payload'->>'userId' END AS member`

type loggedRow struct {
	SessionID string    `gorm:"column:session_id"`
	Seq       int64     `gorm:"column:seq"`
	EventID   string    `gorm:"column:event_id"`
	Type      string    `gorm:"column:type"`
	LoggedAt  time.Time `gorm:"column:logged_at"`
	Envelope  string    `gorm:"column:envelope"`
	Member    *string   `gorm:"column:member"`
	AsOf      time.Time `gorm:"column:as_of"`
}

func (r loggedRow) logged() ports.Logged {
	entry := ports.Logged{
		Seq: r.Seq, EventID: r.EventID, Type: events.Type(r.Type), LoggedAt: r.LoggedAt.UTC(), JSON: json.RawMessage(r.Envelope),
	}
	if r.Member != nil {
		entry.Member = *r.Member
	}
	return entry
}

// Locate implements ports.Journal.
func (s *Store) Locate(ctx context.Context, viewer ports.Viewer, id, after string) (ports.Place, error) {
	var mark watermarkRow
	if err := s.db.WithContext(ctx).Raw(watermarkStatement, arguments(viewer, id, after)).Take(&mark).Error; err != nil {
		return ports.Place{}, failed(ctx, "find a watermark", err)
	}
	place := ports.Place{Last: mark.LastSeq}
	switch {
	case after == "":
	case mark.AfterSeq == nil:
		return ports.Place{}, s.watermarkGone(ctx, id)
	default:
		place.Seq = *mark.AfterSeq
	}
	return place, nil
}

// Read implements ports.Journal.
func (s *Store) Read(ctx context.Context, sessionID string, after int64, limit int) ([]ports.Logged, error) {
	var rows []loggedRow
	err := s.db.WithContext(ctx).Raw(`SELECT `+loggedColumns+` FROM events e WHERE e.session_id = ? AND e.seq > ? ORDER BY e.seq LIMIT ?`,
		sessionID, after, limit).Find(&rows).Error
	if err != nil {
		return nil, failed(ctx, "read a log", err)
	}
	entries := make([]ports.Logged, len(rows))
	for i, row := range rows {
		entries[i] = row.logged()
	}
	return entries, nil
}

// Ends implements ports.Journal.
func (s *Store) Ends(ctx context.Context, sessionIDs []string) (map[string]int64, error) {
	ids, err := json.Marshal(sessionIDs)
	if err != nil {
		return nil, fmt.Errorf("find the ends of logs: %w", err)
	}
	var rows []loggedRow
	err = s.db.WithContext(ctx).Raw(`
SELECT s.id AS session_id, s.last_seq AS seq
  FROM json_array_elements_text(?::json) wanted(id) JOIN sessions s ON s.id = wanted.id::uuid`, string(ids)).Find(&rows).Error
	if err != nil {
		return nil, failed(ctx, "find the ends of logs", err)
	}
	ends := make(map[string]int64, len(rows))
	for _, row := range rows {
		ends[row.SessionID] = row.Seq
	}
	return ends, nil
}

// Now implements ports.Journal.
func (s *Store) Now(ctx context.Context) (time.Time, error) {
	var now time.Time
	err := s.db.WithContext(ctx).Raw("SELECT statement_timestamp()").Row().Scan(&now)
	return now.UTC(), failed(ctx, "ask the time", err)
}

// theirs are the memberships of users, also those that ended after @changed. What is seen of a session lies from since_seq to until_seq.
const theirs = `
SELECT m.user_id, m.session_id, m.since_seq, NULL::bigint AS until_seq
  FROM members m WHERE m.user_id IN (SELECT json_array_elements_text(CAST(@users AS json)))
UNION ALL
SELECT f.user_id, f.session_id, f.since_seq, f.until_seq
  FROM former_members f WHERE f.user_id IN (SELECT json_array_elements_text(CAST(@users AS json))) AND f.removed_at > @changed`

// userStatement reads from what a user has seen on. The log of a session is gone back through only as far as something is new. The moment is
// that of the statement's arrival, so it shows at least everything that was committed then.
const userStatement = `
WITH theirs AS (` + theirs + `), seen AS (
	SELECT key::uuid AS session_id, value::bigint AS seq FROM json_each_text(CAST(@seen AS json))
), found AS (
	SELECT t.session_id, ` + loggedColumns + `
	  FROM theirs t
	  JOIN sessions s ON s.id = t.session_id AND s.last_logged_at > @changed
	  LEFT JOIN seen ON seen.session_id = t.session_id
	 CROSS JOIN LATERAL (
		SELECT coalesce((SELECT o.seq FROM events o
		                  WHERE o.session_id = t.session_id AND o.logged_at <= @since ORDER BY o.seq DESC LIMIT 1), 0) AS seq
		 WHERE seen.seq IS NULL OR seen.seq < s.last_seq) old
	  JOIN events e ON e.session_id = t.session_id AND e.seq > greatest(old.seq, seen.seq, t.since_seq - 1)
	   AND (t.until_seq IS NULL OR e.seq <= t.until_seq)
	 ORDER BY e.logged_at, t.session_id, e.seq
	 LIMIT @limit
)
SELECT moment.as_of, found.* FROM (SELECT statement_timestamp() AS as_of) moment LEFT JOIN found ON true
 ORDER BY found.logged_at, found.session_id, found.seq`

// ReadUser implements ports.Journal.
func (s *Store) ReadUser(ctx context.Context, request ports.UserRequest) (ports.UserPage, error) {
	// A transaction may note that a session has changed, or a membership ended, before the event that tells of it is given its time.
	args, err := usersArguments([]string{request.UserID}, request.Since.Add(-ports.LongestTransaction))
	if err != nil {
		return ports.UserPage{}, err
	}
	seen := request.Seen
	if seen == nil {
		seen = map[string]int64{}
	}
	encoded, err := json.Marshal(seen)
	if err != nil {
		return ports.UserPage{}, fmt.Errorf("read a user's logs: %w", err)
	}
	args["since"], args["seen"], args["limit"] = request.Since.UTC(), string(encoded), request.Limit+1
	var rows []struct {
		SessionID *string
		Seq       *int64
		EventID   *string
		Type      *string
		LoggedAt  *time.Time
		Envelope  *string
		Member    *string
		AsOf      time.Time
	}
	if err := s.db.WithContext(ctx).Raw(userStatement, args).Find(&rows).Error; err != nil {
		return ports.UserPage{}, failed(ctx, "read a user's logs", err)
	}
	page := ports.UserPage{AsOf: rows[0].AsOf.UTC()}
	if page.More = len(rows) > request.Limit; page.More {
		rows = rows[:request.Limit]
	}
	for _, r := range rows {
		if r.SessionID == nil {
			break // there is the moment alone
		}
		row := loggedRow{
			SessionID: *r.SessionID, Seq: *r.Seq, EventID: *r.EventID, Type: *r.Type, LoggedAt: *r.LoggedAt, Envelope: *r.Envelope, Member: r.Member,
		}
		page.Items = append(page.Items, ports.UserEntry{SessionID: row.SessionID, Logged: row.logged()})
	}
	return page, nil
}

// userEndsStatement finds up to where the logs of users' sessions are theirs.
const userEndsStatement = `
WITH theirs AS (` + theirs + `), found AS (
	SELECT t.user_id, t.session_id, max(least(s.last_seq, t.until_seq)) AS seq
	  FROM theirs t JOIN sessions s ON s.id = t.session_id AND s.last_logged_at > @changed
	 GROUP BY t.user_id, t.session_id
)
SELECT moment.as_of, found.* FROM (SELECT statement_timestamp() AS as_of) moment LEFT JOIN found ON true`

// UserEnds implements ports.Journal.
func (s *Store) UserEnds(ctx context.Context, users []string, since time.Time) (ports.UserEnds, error) {
	args, err := usersArguments(users, since)
	if err != nil {
		return ports.UserEnds{}, err
	}
	var rows []struct {
		AsOf      time.Time
		UserID    *string
		SessionID *string
		Seq       *int64
	}
	if err := s.db.WithContext(ctx).Raw(userEndsStatement, args).Find(&rows).Error; err != nil {
		return ports.UserEnds{}, failed(ctx, "find the ends of users' logs", err)
	}
	found := ports.UserEnds{Ends: map[string]map[string]int64{}, AsOf: rows[0].AsOf.UTC()}
	for _, row := range rows {
		if row.UserID == nil || row.SessionID == nil || row.Seq == nil {
			continue
		}
		if found.Ends[*row.UserID] == nil {
			found.Ends[*row.UserID] = map[string]int64{}
		}
		found.Ends[*row.UserID][*row.SessionID] = *row.Seq
	}
	return found, nil
}

func usersArguments(users []string, changed time.Time) (map[string]any, error) {
	encoded, err := json.Marshal(users)
	if err != nil {
		return nil, fmt.Errorf("write a list of users: %w", err)
	}
	return map[string]any{"users": string(encoded), "changed": changed.UTC()}, nil
}
