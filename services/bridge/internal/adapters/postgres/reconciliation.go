package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// AcquireLease implements ports.ReconcileLease. Times are the database's, so that replicas need not
// agree.
func (s *Store) AcquireLease(ctx context.Context, holder string, every, lease time.Duration) (int64, error) {
	var pass int64
	err := s.db.WithContext(ctx).Raw(`UPDATE reconciliation
		SET holder = @holder, expires_at = clock_timestamp() + @lease * interval '1 microsecond', begun = begun + 1
		WHERE (holder IS NULL OR expires_at <= clock_timestamp())
			AND (completed_at IS NULL OR completed_at <= clock_timestamp() - @every * interval '1 microsecond')
		RETURNING begun`, map[string]any{"holder": holder, "lease": lease.Microseconds(), "every": every.Microseconds()}).Scan(&pass).Error
	if err != nil {
		return 0, outage(fmt.Errorf("acquiring the lease: %w", err))
	}
	return pass, nil
}

// RenewLease implements ports.ReconcileLease.
func (s *Store) RenewLease(ctx context.Context, holder string, pass int64, lease time.Duration) error {
	done := s.db.WithContext(ctx).Exec(`UPDATE reconciliation SET expires_at = clock_timestamp() + ? * interval '1 microsecond'
		WHERE holder = ? AND begun = ? AND expires_at > clock_timestamp()`, lease.Microseconds(), holder, pass)
	switch {
	case done.Error != nil:
		return outage(fmt.Errorf("renewing the lease: %w", done.Error))
	case done.RowsAffected == 0:
		return ports.ErrLeaseLost
	}
	return nil
}

// ReleaseLease implements ports.ReconcileLease.
func (s *Store) ReleaseLease(ctx context.Context, holder string, pass int64, completed bool) error {
	err := s.db.WithContext(ctx).Exec(`UPDATE reconciliation SET holder = NULL, expires_at = NULL,
			completed = CASE WHEN @completed THEN begun ELSE completed END,
			completed_at = CASE WHEN @completed THEN clock_timestamp() ELSE completed_at END
		WHERE holder = @holder AND begun = @pass AND expires_at > clock_timestamp()`,
		map[string]any{"completed": completed, "holder": holder, "pass": pass}).Error
	if err != nil {
		return outage(fmt.Errorf("releasing the lease: %w", err))
	}
	return nil
}

// Progress implements ports.ReconcileLease.
func (s *Store) Progress(ctx context.Context) (ports.ReconcileProgress, error) {
	var progress ports.ReconcileProgress
	var ago int64
	err := s.db.WithContext(ctx).Raw(`SELECT begun, completed,
		coalesce((extract(epoch FROM clock_timestamp() - completed_at) * 1000000)::bigint, 0) FROM reconciliation`).
		Row().Scan(&progress.Begun, &progress.Completed, &ago)
	if err != nil {
		return ports.ReconcileProgress{}, outage(fmt.Errorf("reading how far the passes are: %w", err))
	}
	progress.Ago = time.Duration(ago) * time.Microsecond
	return progress, nil
}

const activeStatement = aggregateStatement + `
	WHERE m.disconnected_at IS NULL AND (NOT m.final OR m.connected_at IS NOT NULL) AND m.session_id > ?
	ORDER BY m.session_id LIMIT ?`

// firstSession is before every session's id.
const firstSession = "00000000-0000-0000-0000-000000000000"

// ListActive implements ports.MappingSurvey.
func (s *Store) ListActive(ctx context.Context, after string, limit int) ([]domain.Mapping, error) {
	if after == "" {
		after = firstSession
	}
	return s.read(ctx, activeStatement, after, limit)
}

const byIDsStatement = aggregateStatement + ` WHERE m.session_id IN (SELECT id::uuid FROM json_array_elements_text(?::json) id)`

// ByIDs implements ports.MappingSurvey.
func (s *Store) ByIDs(ctx context.Context, sessionIDs []string) ([]domain.Mapping, error) {
	if len(sessionIDs) == 0 {
		return nil, nil
	}
	encoded, err := json.Marshal(sessionIDs)
	if err != nil {
		return nil, fmt.Errorf("reading mappings: %w", err)
	}
	return s.read(ctx, byIDsStatement, string(encoded))
}

func (s *Store) read(ctx context.Context, statement string, args ...any) ([]domain.Mapping, error) {
	var rows []aggregateRow
	if err := s.db.WithContext(ctx).Raw(statement, args...).Scan(&rows).Error; err != nil {
		return nil, outage(fmt.Errorf("reading mappings: %w", err))
	}
	mappings := make([]domain.Mapping, 0, len(rows))
	for _, row := range rows {
		state, err := row.state()
		if err != nil {
			return nil, err
		}
		mappings = append(mappings, domain.Restore(state))
	}
	return mappings, nil
}

const orphansStatement = `SELECT m.session_id FROM mappings m
	WHERE m.room_name IN ? AND (m.final OR m.disconnected_at IS NOT NULL)
		AND NOT EXISTS (SELECT 1 FROM room_deletions d WHERE d.room_name = m.room_name)`

// OrphanRooms implements ports.MappingSurvey.
func (s *Store) OrphanRooms(ctx context.Context, roomNames []string) ([]string, error) {
	var sessions []string
	if len(roomNames) == 0 {
		return sessions, nil
	}
	err := s.db.WithContext(ctx).Raw(orphansStatement, roomNames).Scan(&sessions).Error
	if err != nil {
		return nil, outage(fmt.Errorf("looking for orphan rooms: %w", err))
	}
	return sessions, nil
}
