package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

type enforcementRow struct {
	SessionID  string  `gorm:"column:session_id"`
	Identity   string  `gorm:"column:identity"`
	UserID     string  `gorm:"column:user_id"`
	Role       *string `gorm:"column:role"`
	Generation int64   `gorm:"column:generation"`
	Claim      int64   `gorm:"column:claim"`
	Attempts   int     `gorm:"column:attempts"`
}

func (r enforcementRow) enforcement() ports.Enforcement {
	return ports.Enforcement{
		SessionID: r.SessionID, Generation: r.Generation, Claim: r.Claim, Attempts: r.Attempts,
		Standing: domain.Standing{Identity: r.Identity, UserID: r.UserID, Role: events.Role(orZero(r.Role)), Removed: r.Role == nil},
	}
}

// requestStandings puts standings on the list, each in place of the participant's earlier one. Whoever
// works on that goes on, and the new one waits for them.
func requestStandings(tx *gorm.DB, sessionID string, standings []domain.Standing) error {
	for _, s := range standings {
		err := tx.Exec(`INSERT INTO standings (session_id, identity, user_id, role, generation, attempts, requested_at, next_attempt_at)
			VALUES (?, ?, ?, ?, nextval('standing_generations'), 0, clock_timestamp(), clock_timestamp())
			ON CONFLICT (session_id, identity) DO UPDATE SET role = excluded.role, generation = excluded.generation, attempts = 0,
				requested_at = excluded.requested_at, next_attempt_at = excluded.next_attempt_at`,
			sessionID, s.Identity, s.UserID, orNull(string(s.Role))).Error
		if err != nil {
			return fmt.Errorf("asking for a participant's standing: %w", err)
		}
	}
	return nil
}

// checkAdmission fails while a removal of the identity is under way. Only a participant whose member was
// removed can have one. The mapping is locked, so no other removal can come between this and the commit;
// one that is on the list was replaced before, and nobody can claim it any more.
func checkAdmission(tx *gorm.DB, s domain.State, identity string) error {
	if !s.Participants[identity].Outdated {
		return nil
	}
	var removing bool
	err := tx.Raw(`SELECT EXISTS (SELECT 1 FROM standings
		WHERE session_id = ? AND identity = ? AND removing AND claimed_until > clock_timestamp())`, s.SessionID, identity).Row().Scan(&removing)
	if err != nil {
		return fmt.Errorf("looking for a removal under way: %w", err)
	}
	if removing {
		return decisionError{ports.ErrBeingRemoved}
	}
	return nil
}

// ClaimEnforcements implements ports.Enforcements. Times are the database's, so that replicas need not agree on one.
func (s *Store) ClaimEnforcements(ctx context.Context, limit int, lease time.Duration) ([]ports.Enforcement, error) {
	var rows []enforcementRow
	err := s.db.WithContext(ctx).Raw(`UPDATE standings SET claim = nextval('standing_generations'), removing = role IS NULL,
			claimed_until = statement_timestamp() + ? * interval '1 microsecond'
		WHERE (session_id, identity) IN (SELECT session_id, identity FROM standings
			WHERE next_attempt_at <= statement_timestamp() AND (claim IS NULL OR claimed_until <= statement_timestamp())
			ORDER BY next_attempt_at LIMIT ? FOR UPDATE SKIP LOCKED)
		RETURNING session_id, identity, user_id, role, generation, claim, attempts`, lease.Microseconds(), limit).Scan(&rows).Error
	if err != nil {
		return nil, outage(fmt.Errorf("claiming standings: %w", err))
	}
	claimed := make([]ports.Enforcement, len(rows))
	for n, row := range rows {
		claimed[n] = row.enforcement()
	}
	return claimed, nil
}

// SettleEnforcement implements ports.Enforcements.
func (s *Store) SettleEnforcement(ctx context.Context, e ports.Enforcement) error {
	err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		done := tx.Exec(`DELETE FROM standings WHERE session_id = ? AND identity = ? AND claim = ? AND generation = ?`,
			e.SessionID, e.Standing.Identity, e.Claim, e.Generation)
		if done.Error != nil || done.RowsAffected > 0 {
			return done.Error
		}
		return tx.Exec(`UPDATE standings SET claim = NULL, claimed_until = NULL, removing = false
			WHERE session_id = ? AND identity = ? AND claim = ?`, e.SessionID, e.Standing.Identity, e.Claim).Error
	})
	if err != nil {
		return outage(fmt.Errorf("taking a standing off the list: %w", err))
	}
	return nil
}

// PostponeEnforcement implements ports.Enforcements.
func (s *Store) PostponeEnforcement(ctx context.Context, e ports.Enforcement, after time.Duration) error {
	err := s.db.WithContext(ctx).Exec(`UPDATE standings SET claim = NULL, claimed_until = NULL, removing = false,
			attempts = CASE WHEN generation = @generation THEN attempts + 1 ELSE attempts END,
			next_attempt_at = CASE WHEN generation = @generation THEN clock_timestamp() + @after * interval '1 microsecond' ELSE next_attempt_at END
		WHERE session_id = @session AND identity = @identity AND claim = @claim`, map[string]any{
		"generation": e.Generation, "after": after.Microseconds(), "session": e.SessionID, "identity": e.Standing.Identity, "claim": e.Claim,
	}).Error
	if err != nil {
		return outage(fmt.Errorf("postponing a standing: %w", err))
	}
	return nil
}

// NextEnforcement implements ports.Enforcements.
func (s *Store) NextEnforcement(ctx context.Context) (time.Duration, bool, error) {
	var wait sql.NullInt64
	err := s.db.WithContext(ctx).Raw(`SELECT (extract(epoch FROM min(greatest(next_attempt_at, claimed_until)) - clock_timestamp()) * 1000000)::bigint
		FROM standings`).Row().Scan(&wait)
	if err != nil {
		return 0, false, outage(fmt.Errorf("looking for the next standing: %w", err))
	}
	return max(0, time.Duration(wait.Int64)*time.Microsecond), wait.Valid, nil
}
