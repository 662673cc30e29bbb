package postgres

import (
	"context"
	"errors"
	"time"

	"gorm.io/gorm"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

var _ ports.Checkpoints = (*Store)(nil)

// advanceStatement decides by itself which of two is further, so that writers need no lock, and always returns what is kept.
const advanceStatement = `
INSERT INTO checkpoints AS c (session_id, principal, consumer, event_id, seq)
SELECT s.id, @principal, @consumer, e.event_id, e.seq
  FROM sessions s JOIN events e ON e.session_id = s.id AND e.event_id = @event
 WHERE ` + visible + `
ON CONFLICT (session_id, principal, consumer) DO UPDATE
   SET event_id   = CASE WHEN c.seq < excluded.seq THEN excluded.event_id ELSE c.event_id END,
       updated_at = CASE WHEN c.seq < excluded.seq THEN clock_timestamp() ELSE c.updated_at END,
       seq        = greatest(c.seq, excluded.seq)
RETURNING event_id, updated_at`

const checkpointStatement = `
SELECT c.event_id, c.updated_at
  FROM sessions s
  LEFT JOIN checkpoints c ON c.session_id = s.id AND c.principal = @principal AND c.consumer = @consumer
 WHERE ` + visible

type checkpointRow struct {
	EventID   *string    `gorm:"column:event_id"`
	UpdatedAt *time.Time `gorm:"column:updated_at"`
}

// AdvanceCheckpoint implements ports.Checkpoints.
func (s *Store) AdvanceCheckpoint(ctx context.Context, viewer ports.Viewer, name ports.CheckpointName, eventID string) (ports.Checkpoint, error) {
	args := checkpointArguments(viewer, name, eventID)
	found, err := s.checkpoint(ctx, "keep a checkpoint", advanceStatement, args)
	if !errors.Is(err, domain.ErrNotFound) {
		return found, err
	}
	// Either the viewer sees no such session, or it has no such event.
	if _, err := s.checkpoint(ctx, "keep a checkpoint", checkpointStatement, args); err != nil && !errors.Is(err, domain.ErrNoCheckpoint) {
		return ports.Checkpoint{}, err
	}
	setAside, err := s.isSetAside(ctx, name.SessionID, eventID)
	if err != nil {
		return ports.Checkpoint{}, err
	}
	if setAside {
		return ports.Checkpoint{}, s.watermarkGone(ctx, name.SessionID)
	}
	return ports.Checkpoint{}, domain.ErrEventNotFound
}

func (s *Store) isSetAside(ctx context.Context, id, eventID string) (bool, error) {
	var found bool
	err := s.db.WithContext(ctx).Raw(`SELECT EXISTS (SELECT FROM quarantine WHERE session_id = ? AND event_id = ?)`, id, eventID).Scan(&found).Error
	return found, failed(ctx, "look for an event that was set aside", err)
}

// Checkpoint implements ports.Checkpoints.
func (s *Store) Checkpoint(ctx context.Context, viewer ports.Viewer, name ports.CheckpointName) (ports.Checkpoint, error) {
	return s.checkpoint(ctx, "read a checkpoint", checkpointStatement, checkpointArguments(viewer, name, ""))
}

func checkpointArguments(viewer ports.Viewer, name ports.CheckpointName, eventID string) map[string]any {
	args := arguments(viewer, name.SessionID, eventID)
	args["principal"], args["consumer"] = name.Principal, name.Consumer
	return args
}

func (s *Store) checkpoint(ctx context.Context, what, statement string, args map[string]any) (ports.Checkpoint, error) {
	var rows []checkpointRow
	if err := s.db.WithContext(ctx).Raw(statement, args).Find(&rows).Error; err != nil {
		return ports.Checkpoint{}, failed(ctx, what, err)
	}
	if len(rows) == 0 {
		return ports.Checkpoint{}, failed(ctx, what, gorm.ErrRecordNotFound)
	}
	if rows[0].EventID == nil || rows[0].UpdatedAt == nil {
		return ports.Checkpoint{}, domain.ErrNoCheckpoint
	}
	return ports.Checkpoint{EventID: *rows[0].EventID, UpdatedAt: rows[0].UpdatedAt.UTC()}, nil
}
