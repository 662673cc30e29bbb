package memory

import (
	"context"
	"time"

	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

var _ ports.Checkpoints = (*Store)(nil)

// checkpoint is a place in a log.
type checkpoint struct {
	position int
	kept     ports.Checkpoint
}

// AdvanceCheckpoint implements ports.Checkpoints.
func (s *Store) AdvanceCheckpoint(_ context.Context, viewer ports.Viewer, name ports.CheckpointName, eventID string) (ports.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	kept, err := s.find(viewer, name.SessionID)
	if err != nil {
		return ports.Checkpoint{}, err
	}
	position := kept.position(eventID)
	if position < 0 {
		if s.isSetAside(name.SessionID, eventID) {
			return ports.Checkpoint{}, &ports.WatermarkGoneError{Earliest: kept.log[0].Event.EventID}
		}
		return ports.Checkpoint{}, domain.ErrEventNotFound
	}
	had, known := s.checkpoints[name]
	if !known || had.position < position {
		had = checkpoint{position, ports.Checkpoint{EventID: eventID, UpdatedAt: time.Now().UTC()}}
		s.checkpoints[name] = had
	}
	return had.kept, nil
}

// Checkpoint implements ports.Checkpoints.
func (s *Store) Checkpoint(_ context.Context, viewer ports.Viewer, name ports.CheckpointName) (ports.Checkpoint, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.find(viewer, name.SessionID); err != nil {
		return ports.Checkpoint{}, err
	}
	had, known := s.checkpoints[name]
	if !known {
		return ports.Checkpoint{}, domain.ErrNoCheckpoint
	}
	return had.kept, nil
}
