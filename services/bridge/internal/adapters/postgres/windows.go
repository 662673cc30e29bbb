package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// keepWindow puts a session on the list where the time of its first window has changed, and takes it off where none is open any more.
// Whoever looks after it has lost it then.
func keepWindow(tx *gorm.DB, before, after domain.State) error {
	ends, open := after.NextDeadline()
	var err error
	if open {
		err = tx.Exec(`INSERT INTO windows (session_id, ends_at, next_attempt_at) VALUES (@session, @ends, @ends)
			ON CONFLICT (session_id) DO UPDATE SET ends_at = excluded.ends_at, next_attempt_at = excluded.next_attempt_at, attempts = 0, claim = NULL
			WHERE windows.ends_at <> excluded.ends_at`, map[string]any{"session": after.SessionID, "ends": ends}).Error
	} else if _, was := before.NextDeadline(); was {
		err = tx.Exec(`DELETE FROM windows WHERE session_id = ?`, after.SessionID).Error
	}
	if err != nil {
		return fmt.Errorf("storing when a window ends: %w", err)
	}
	return nil
}

// checkClaim fails where the claim of a session's windows is lost, and keeps everybody from taking it until the commit.
func checkClaim(tx *gorm.DB, sessionID string, claim int64) error {
	if claim == 0 {
		return nil
	}
	var held []int64
	err := tx.Raw(`SELECT claim FROM windows WHERE session_id = ? AND claim = ? AND next_attempt_at > clock_timestamp() FOR UPDATE`,
		sessionID, claim).Scan(&held).Error
	if err != nil {
		return fmt.Errorf("looking for a claim: %w", err)
	}
	if len(held) == 0 {
		return decisionError{ports.ErrClaimLost}
	}
	return nil
}

// ClaimWindows implements ports.Windows. Times are the database's, so that replicas need not agree on one.
func (s *Store) ClaimWindows(ctx context.Context, limit int, lease time.Duration) ([]ports.DueWindow, error) {
	var claimed []ports.DueWindow
	err := s.db.WithContext(ctx).Raw(claimWindowsStatement, lease.Microseconds(), limit).Scan(&claimed).Error
	if err != nil {
		return nil, outage(fmt.Errorf("claiming windows: %w", err))
	}
	return claimed, nil
}

const claimWindowsStatement = `UPDATE windows
	SET claim = nextval('window_claims'), next_attempt_at = statement_timestamp() + ? * interval '1 microsecond'
	WHERE session_id IN (SELECT session_id FROM windows WHERE next_attempt_at <= statement_timestamp()
		ORDER BY next_attempt_at LIMIT ? FOR UPDATE SKIP LOCKED)
	RETURNING session_id, claim, attempts`

// PostponeWindow implements ports.Windows.
func (s *Store) PostponeWindow(ctx context.Context, w ports.DueWindow, after time.Duration) error {
	err := s.db.WithContext(ctx).Exec(`UPDATE windows
		SET attempts = attempts + 1, claim = NULL, next_attempt_at = clock_timestamp() + ? * interval '1 microsecond'
		WHERE session_id = ? AND claim = ? AND next_attempt_at > clock_timestamp()`, after.Microseconds(), w.SessionID, w.Claim).Error
	if err != nil {
		return outage(fmt.Errorf("postponing a window: %w", err))
	}
	return nil
}

// NextWindow implements ports.Windows.
func (s *Store) NextWindow(ctx context.Context) (time.Duration, bool, error) {
	var wait sql.NullInt64
	err := s.db.WithContext(ctx).Raw(`SELECT (extract(epoch FROM min(next_attempt_at) - clock_timestamp()) * 1000000)::bigint
		FROM windows`).Row().Scan(&wait)
	if err != nil {
		return 0, false, outage(fmt.Errorf("looking for the next window: %w", err))
	}
	return max(0, time.Duration(wait.Int64)*time.Microsecond), wait.Valid, nil
}
