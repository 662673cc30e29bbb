package postgres

import (
	"context"
	"time"

	"github.com/callplane/callplane/services/sessions/internal/ports"
)

var (
	_ ports.Activations = (*Store)(nil)
	_ ports.Retention   = (*Store)(nil)
)

// The statements compare with statement_timestamp(), not clock_timestamp(): only what is the same for a whole statement can bound the part
// of an index that is read.

// claimStatement takes the sessions that have waited longest. A claim moves the time that the timeout counts from, so that the session
// comes up again when the lease has passed; nobody has to notice that a worker is gone.
const claimStatement = `
UPDATE sessions
   SET activation_claims = activation_claims + 1,
       activation_from = statement_timestamp() + @again * interval '1 microsecond'
 WHERE id IN (SELECT id FROM sessions
               WHERE status = 'created' AND activation_from <= statement_timestamp() - @timeout * interval '1 microsecond'
               ORDER BY activation_from LIMIT @limit FOR UPDATE SKIP LOCKED)
RETURNING id AS session_id, version AS session_version, provider, activation_claims AS claims`

// ClaimOverdue implements ports.Activations.
func (s *Store) ClaimOverdue(ctx context.Context, timeout time.Duration, limit int, lease time.Duration) ([]ports.OverdueActivation, error) {
	var claimed []ports.OverdueActivation
	err := s.db.WithContext(ctx).Raw(claimStatement, map[string]any{
		"timeout": timeout.Microseconds(), "again": (lease - timeout).Microseconds(), "limit": limit,
	}).Scan(&claimed).Error
	return claimed, failed(ctx, "claim sessions that nobody has joined", err)
}

// Postpone implements ports.Activations.
func (s *Store) Postpone(ctx context.Context, overdue ports.OverdueActivation, timeout, after time.Duration) error {
	err := s.db.WithContext(ctx).Exec(`UPDATE sessions SET activation_from = statement_timestamp() + ? * interval '1 microsecond'
		WHERE id = ? AND status = 'created' AND activation_claims = ?`,
		(after - timeout).Microseconds(), overdue.SessionID, overdue.Claims).Error
	return failed(ctx, "postpone an activation deadline", err)
}

const nextOverdueStatement = `
SELECT (extract(epoch FROM activation_from - statement_timestamp()) * 1000000)::bigint
  FROM sessions WHERE status = 'created' ORDER BY activation_from LIMIT 1`

// NextOverdue implements ports.Activations.
func (s *Store) NextOverdue(ctx context.Context, timeout time.Duration) (time.Duration, bool, error) {
	var wait []int64
	if err := s.db.WithContext(ctx).Raw(nextOverdueStatement).Scan(&wait).Error; err != nil {
		return 0, false, failed(ctx, "look for the next activation deadline", err)
	}
	if len(wait) == 0 {
		return 0, false, nil
	}
	return max(0, time.Duration(wait[0])*time.Microsecond+timeout), true, nil
}

// deleteFinalStatement removes sessions; what belongs to them goes with them, by their foreign keys. The quarantine has none, since it also
// holds events of sessions that never were.
const deleteFinalStatement = `
WITH old AS (
    SELECT id FROM sessions
     WHERE status IN ('ended', 'failed') AND ended_at < statement_timestamp() - @age * interval '1 microsecond'
     ORDER BY ended_at LIMIT @limit FOR UPDATE SKIP LOCKED
), aside AS (
    DELETE FROM quarantine WHERE session_id IN (SELECT id FROM old)
)
DELETE FROM sessions WHERE id IN (SELECT id FROM old)`

// DeleteFinal implements ports.Retention.
func (s *Store) DeleteFinal(ctx context.Context, age time.Duration, limit int) (int, error) {
	return s.remove(ctx, "delete old sessions", deleteFinalStatement, age, limit)
}

// deleteStrayStatement looks each event's session up by itself: NOT EXISTS would be planned as a join that reads all sessions.
const deleteStrayStatement = `
DELETE FROM quarantine WHERE id IN (
    SELECT q.id FROM quarantine q
     WHERE q.quarantined_at < statement_timestamp() - @age * interval '1 microsecond'
       AND (SELECT s.id FROM sessions s WHERE s.id = q.session_id) IS NULL
     ORDER BY q.quarantined_at LIMIT @limit FOR UPDATE OF q SKIP LOCKED)`

// DeleteStrayQuarantine implements ports.Retention.
func (s *Store) DeleteStrayQuarantine(ctx context.Context, age time.Duration, limit int) (int, error) {
	return s.remove(ctx, "delete quarantined events of deleted sessions", deleteStrayStatement, age, limit)
}

func (s *Store) remove(ctx context.Context, what, statement string, age time.Duration, limit int) (int, error) {
	done := s.db.WithContext(ctx).Exec(statement, map[string]any{"age": age.Microseconds(), "limit": limit})
	return int(done.RowsAffected), failed(ctx, what, done.Error)
}
