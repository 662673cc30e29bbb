package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// TakeTurn implements ports.Turns. Times are the database's, so that replicas need not agree on one.
func (s *Store) TakeTurn(ctx context.Context, holder string, every, lease time.Duration) (int64, error) {
	var pass int64
	err := s.db.WithContext(ctx).Raw(`UPDATE reconciliation
		SET holder = @holder, expires_at = clock_timestamp() + @lease * interval '1 microsecond', begun = begun + 1
		WHERE (holder IS NULL OR expires_at <= clock_timestamp())
			AND (completed_at IS NULL OR completed_at <= clock_timestamp() - @every * interval '1 microsecond')
		RETURNING begun`, map[string]any{"holder": holder, "lease": lease.Microseconds(), "every": every.Microseconds()}).Scan(&pass).Error
	if err != nil {
		return 0, outage(fmt.Errorf("taking the turn: %w", err))
	}
	return pass, nil
}

// KeepTurn implements ports.Turns.
func (s *Store) KeepTurn(ctx context.Context, holder string, pass int64, lease time.Duration) error {
	done := s.db.WithContext(ctx).Exec(`UPDATE reconciliation SET expires_at = clock_timestamp() + ? * interval '1 microsecond'
		WHERE holder = ? AND begun = ? AND expires_at > clock_timestamp()`, lease.Microseconds(), holder, pass)
	switch {
	case done.Error != nil:
		return outage(fmt.Errorf("keeping the turn: %w", done.Error))
	case done.RowsAffected == 0:
		return ports.ErrTurnLost
	}
	return nil
}

// EndTurn implements ports.Turns.
func (s *Store) EndTurn(ctx context.Context, holder string, pass int64, completed bool) error {
	err := s.db.WithContext(ctx).Exec(`UPDATE reconciliation SET holder = NULL, expires_at = NULL,
			completed = CASE WHEN @completed THEN begun ELSE completed END,
			completed_at = CASE WHEN @completed THEN clock_timestamp() ELSE completed_at END
		WHERE holder = @holder AND begun = @pass AND expires_at > clock_timestamp()`,
		map[string]any{"completed": completed, "holder": holder, "pass": pass}).Error
	if err != nil {
		return outage(fmt.Errorf("ending the turn: %w", err))
	}
	return nil
}

// Passes implements ports.Turns.
func (s *Store) Passes(ctx context.Context) (ports.Passes, error) {
	var passes ports.Passes
	var ago int64
	err := s.db.WithContext(ctx).Raw(`SELECT begun, completed,
		coalesce((extract(epoch FROM clock_timestamp() - completed_at) * 1000000)::bigint, 0) FROM reconciliation`).
		Row().Scan(&passes.Begun, &passes.Completed, &ago)
	if err != nil {
		return ports.Passes{}, outage(fmt.Errorf("looking for the last pass: %w", err))
	}
	passes.Ago = time.Duration(ago) * time.Microsecond
	return passes, nil
}

const unsettledStatement = wholeStatement + `
	WHERE m.disconnected_at IS NULL AND (NOT m.final OR m.connected_at IS NOT NULL) AND m.session_id > ?
		AND EXISTS (SELECT 1 FROM participants p WHERE p.session_id = m.session_id)
	ORDER BY m.session_id LIMIT ?`

// firstSession is before every session's id.
const firstSession = "00000000-0000-0000-0000-000000000000"

// Unsettled implements ports.Surveys.
func (s *Store) Unsettled(ctx context.Context, after string, limit int) ([]domain.Mapping, error) {
	if after == "" {
		after = firstSession
	}
	return s.whole(ctx, unsettledStatement, after, limit)
}

const namedStatement = wholeStatement + ` WHERE m.session_id IN (SELECT id::uuid FROM json_array_elements_text(?::json) id)`

// Named implements ports.Surveys.
func (s *Store) Named(ctx context.Context, sessionIDs []string) ([]domain.Mapping, error) {
	if len(sessionIDs) == 0 {
		return nil, nil
	}
	encoded, err := json.Marshal(sessionIDs)
	if err != nil {
		return nil, fmt.Errorf("reading mappings: %w", err)
	}
	return s.whole(ctx, namedStatement, string(encoded))
}

func (s *Store) whole(ctx context.Context, statement string, args ...any) ([]domain.Mapping, error) {
	var rows []wholeRow
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

const zombiesStatement = `SELECT m.session_id FROM mappings m
	WHERE m.room_name IN ? AND (m.final OR m.disconnected_at IS NOT NULL)
		AND NOT EXISTS (SELECT 1 FROM room_deletions d WHERE d.room_name = m.room_name)`

// Zombies implements ports.Surveys.
func (s *Store) Zombies(ctx context.Context, roomNames []string) ([]string, error) {
	var sessions []string
	if len(roomNames) == 0 {
		return sessions, nil
	}
	err := s.db.WithContext(ctx).Raw(zombiesStatement, roomNames).Scan(&sessions).Error
	if err != nil {
		return nil, outage(fmt.Errorf("looking for rooms of calls that are over: %w", err))
	}
	return sessions, nil
}
