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

// scheduleCheck puts a session on the list where the time of its next check has changed, and takes
// it off where nothing asks for one any more. Either ends the claim on it.
func scheduleCheck(tx *gorm.DB, before, after domain.State) error {
	next, wanted := after.NextCheckAt()
	var err error
	if wanted {
		err = tx.Exec(`INSERT INTO windows (session_id, ends_at, next_attempt_at) VALUES (@session, @next, @next)
			ON CONFLICT (session_id) DO UPDATE SET ends_at = excluded.ends_at, next_attempt_at = excluded.next_attempt_at, attempts = 0, claim = NULL
			WHERE windows.ends_at <> excluded.ends_at`, map[string]any{"session": after.SessionID, "next": next}).Error
	} else if _, listed := before.NextCheckAt(); listed {
		err = tx.Exec(`DELETE FROM windows WHERE session_id = ?`, after.SessionID).Error
	}
	if err != nil {
		return fmt.Errorf("storing when a room is checked: %w", err)
	}
	return nil
}

// checkClaim fails where the claim of a room check is lost, and keeps others from claiming the
// session until the commit.
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

// ClaimChecks implements ports.RoomChecks. Times are the database's, so that replicas need not
// agree.
func (s *Store) ClaimChecks(ctx context.Context, limit int, lease time.Duration) ([]ports.RoomCheck, error) {
	var claimed []ports.RoomCheck
	err := s.db.WithContext(ctx).Raw(claimChecksStatement, lease.Microseconds(), limit).Scan(&claimed).Error
	if err != nil {
		return nil, outage(fmt.Errorf("claiming room checks: %w", err))
	}
	return claimed, nil
}

const claimChecksStatement = `UPDATE windows
	SET claim = nextval('window_claims'), next_attempt_at = statement_timestamp() + ? * interval '1 microsecond'
	WHERE session_id IN (SELECT session_id FROM windows WHERE next_attempt_at <= statement_timestamp()
		ORDER BY next_attempt_at LIMIT ? FOR UPDATE SKIP LOCKED)
	RETURNING session_id, claim, attempts`

// PostponeCheck implements ports.RoomChecks.
func (s *Store) PostponeCheck(ctx context.Context, c ports.RoomCheck, after time.Duration) error {
	err := s.db.WithContext(ctx).Exec(`UPDATE windows
		SET attempts = attempts + 1, claim = NULL, next_attempt_at = clock_timestamp() + ? * interval '1 microsecond'
		WHERE session_id = ? AND claim = ? AND next_attempt_at > clock_timestamp()`, after.Microseconds(), c.SessionID, c.Claim).Error
	if err != nil {
		return outage(fmt.Errorf("postponing a room check: %w", err))
	}
	return nil
}

// NextCheck implements ports.RoomChecks.
func (s *Store) NextCheck(ctx context.Context) (time.Duration, bool, error) {
	var wait sql.NullInt64
	err := s.db.WithContext(ctx).Raw(`SELECT (extract(epoch FROM min(next_attempt_at) - clock_timestamp()) * 1000000)::bigint
		FROM windows`).Row().Scan(&wait)
	if err != nil {
		return 0, false, outage(fmt.Errorf("looking for the next room check: %w", err))
	}
	return max(0, time.Duration(wait.Int64)*time.Microsecond), wait.Valid, nil
}
