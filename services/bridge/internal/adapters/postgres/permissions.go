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

type permissionSyncRow struct {
	SessionID  string  `gorm:"column:session_id"`
	Identity   string  `gorm:"column:identity"`
	UserID     string  `gorm:"column:user_id"`
	Role       *string `gorm:"column:role"`
	Generation int64   `gorm:"column:generation"`
	Claim      int64   `gorm:"column:claim"`
	Attempts   int     `gorm:"column:attempts"`
}

func (r permissionSyncRow) sync() ports.PermissionSync {
	return ports.PermissionSync{
		SessionID: r.SessionID, Generation: r.Generation, Claim: r.Claim, Attempts: r.Attempts,
		Desired: domain.DesiredPermission{
			Identity: r.Identity, UserID: r.UserID, Role: events.Role(orZero(r.Role)), Removed: r.Role == nil,
		},
	}
}

const insertPermissionStatement = `INSERT INTO standings
	(session_id, identity, user_id, role, generation, attempts, requested_at, next_attempt_at)
	VALUES (?, ?, ?, ?, nextval('standing_generations'), 0, clock_timestamp(), clock_timestamp()) ON CONFLICT (session_id, identity) `

// requestPermissions puts permission syncs on the list, each in place of the identity's earlier
// one. The worker that has claimed that one goes on, and the new one waits for it. Where it is only
// noticed that a permission doesn't hold, what is on the list for the identity stays as it is,
// claimed or not.
func requestPermissions(tx *gorm.DB, sessionID string, desired []domain.DesiredPermission, noticed bool) error {
	statement := insertPermissionStatement + `DO UPDATE SET user_id = excluded.user_id, role = excluded.role,
		generation = excluded.generation, attempts = 0, requested_at = excluded.requested_at, next_attempt_at = excluded.next_attempt_at`
	if noticed {
		statement = insertPermissionStatement + `DO NOTHING`
	}
	for _, d := range desired {
		if err := tx.Exec(statement, sessionID, d.Identity, d.UserID, orNull(string(d.Role))).Error; err != nil {
			return fmt.Errorf("requesting a permission sync: %w", err)
		}
	}
	return nil
}

// checkGrant fails while a removal of the identity is under way, which only a participant whose
// member was removed can have. The mapping is locked, so no other removal can come between this and
// the commit; one that was only on the list has been replaced, and can't be claimed any more.
func checkGrant(tx *gorm.DB, s domain.State, identity string) error {
	if !s.Participants[identity].StaleToken {
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

// ClaimPermissionSyncs implements ports.PermissionSyncs. Times are the database's, so that replicas
// need not agree.
func (s *Store) ClaimPermissionSyncs(ctx context.Context, limit int, lease time.Duration) ([]ports.PermissionSync, error) {
	var rows []permissionSyncRow
	err := s.db.WithContext(ctx).Raw(`UPDATE standings SET claim = nextval('standing_generations'), removing = role IS NULL,
			claimed_until = statement_timestamp() + ? * interval '1 microsecond'
		WHERE (session_id, identity) IN (SELECT session_id, identity FROM standings
			WHERE next_attempt_at <= statement_timestamp() AND (claim IS NULL OR claimed_until <= statement_timestamp())
			ORDER BY next_attempt_at LIMIT ? FOR UPDATE SKIP LOCKED)
		RETURNING session_id, identity, user_id, role, generation, claim, attempts`, lease.Microseconds(), limit).Scan(&rows).Error
	if err != nil {
		return nil, outage(fmt.Errorf("claiming permission syncs: %w", err))
	}
	claimed := make([]ports.PermissionSync, len(rows))
	for n, row := range rows {
		claimed[n] = row.sync()
	}
	return claimed, nil
}

// SettlePermissionSync implements ports.PermissionSyncs.
func (s *Store) SettlePermissionSync(ctx context.Context, p ports.PermissionSync) error {
	err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		done := tx.Exec(`DELETE FROM standings WHERE session_id = ? AND identity = ? AND claim = ? AND generation = ?`,
			p.SessionID, p.Desired.Identity, p.Claim, p.Generation)
		if done.Error != nil || done.RowsAffected > 0 {
			return done.Error
		}
		return tx.Exec(`UPDATE standings SET claim = NULL, claimed_until = NULL, removing = false
			WHERE session_id = ? AND identity = ? AND claim = ?`, p.SessionID, p.Desired.Identity, p.Claim).Error
	})
	if err != nil {
		return outage(fmt.Errorf("taking a permission sync off the list: %w", err))
	}
	return nil
}

// PostponePermissionSync implements ports.PermissionSyncs.
func (s *Store) PostponePermissionSync(ctx context.Context, p ports.PermissionSync, after time.Duration) error {
	err := s.db.WithContext(ctx).Exec(`UPDATE standings SET claim = NULL, claimed_until = NULL, removing = false,
			attempts = CASE WHEN generation = @generation THEN attempts + 1 ELSE attempts END,
			next_attempt_at = CASE WHEN generation = @generation THEN clock_timestamp() + @after * interval '1 microsecond' ELSE next_attempt_at END
		WHERE session_id = @session AND identity = @identity AND claim = @claim`, map[string]any{
		"generation": p.Generation, "after": after.Microseconds(), "session": p.SessionID, "identity": p.Desired.Identity, "claim": p.Claim,
	}).Error
	if err != nil {
		return outage(fmt.Errorf("postponing a permission sync: %w", err))
	}
	return nil
}

// NextPermissionSync implements ports.PermissionSyncs.
func (s *Store) NextPermissionSync(ctx context.Context) (time.Duration, bool, error) {
	var wait sql.NullInt64
	err := s.db.WithContext(ctx).Raw(`SELECT (extract(epoch FROM min(greatest(next_attempt_at, claimed_until)) - clock_timestamp()) * 1000000)::bigint
		FROM standings`).Row().Scan(&wait)
	if err != nil {
		return 0, false, outage(fmt.Errorf("looking for the next permission sync: %w", err))
	}
	return max(0, time.Duration(wait.Int64)*time.Microsecond), wait.Valid, nil
}
