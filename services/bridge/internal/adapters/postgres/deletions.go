package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/callplane/callplane/services/bridge/internal/ports"
)

const insertDeletionStatement = `INSERT INTO room_deletions (room_name, generation, attempts, requested_at, next_attempt_at)
	VALUES (?, nextval('room_deletion_generations'), 0, clock_timestamp(), clock_timestamp()) ON CONFLICT (room_name) `

// requestDeletion puts a room on the list. One that is on it already comes up at once, and a worker
// on the earlier request can't take the new one off; where the room is only noticed to be there
// still, the earlier request stays as it is.
func requestDeletion(tx *gorm.DB, roomName string, noticed bool) error {
	statement := insertDeletionStatement + `DO UPDATE SET generation = excluded.generation, attempts = 0,
		requested_at = excluded.requested_at, next_attempt_at = excluded.next_attempt_at`
	if noticed {
		statement = insertDeletionStatement + `DO NOTHING`
	}
	if err := tx.Exec(statement, roomName).Error; err != nil {
		return fmt.Errorf("requesting the deletion of a room: %w", err)
	}
	return nil
}

// Claim implements ports.RoomDeletions. Times are the database's, so that replicas need not agree.
func (s *Store) Claim(ctx context.Context, limit int, lease time.Duration) ([]ports.RoomDeletion, error) {
	var claimed []ports.RoomDeletion
	err := s.db.WithContext(ctx).Raw(`UPDATE room_deletions SET next_attempt_at = statement_timestamp() + ? * interval '1 microsecond'
		WHERE room_name IN (SELECT room_name FROM room_deletions WHERE next_attempt_at <= statement_timestamp()
			ORDER BY next_attempt_at LIMIT ? FOR UPDATE SKIP LOCKED)
		RETURNING room_name, generation, attempts`, lease.Microseconds(), limit).Scan(&claimed).Error
	if err != nil {
		return nil, outage(fmt.Errorf("claiming rooms to delete: %w", err))
	}
	return claimed, nil
}

// Done implements ports.RoomDeletions.
func (s *Store) Done(ctx context.Context, d ports.RoomDeletion) error {
	err := s.db.WithContext(ctx).Exec(`DELETE FROM room_deletions WHERE room_name = ? AND generation = ?`, d.RoomName, d.Generation).Error
	if err != nil {
		return outage(fmt.Errorf("taking a deleted room off the list: %w", err))
	}
	return nil
}

// Postpone implements ports.RoomDeletions.
func (s *Store) Postpone(ctx context.Context, d ports.RoomDeletion, after time.Duration) error {
	err := s.db.WithContext(ctx).Exec(`UPDATE room_deletions
		SET attempts = attempts + 1, next_attempt_at = clock_timestamp() + ? * interval '1 microsecond'
		WHERE room_name = ? AND generation = ?`, after.Microseconds(), d.RoomName, d.Generation).Error
	if err != nil {
		return outage(fmt.Errorf("postponing the deletion of a room: %w", err))
	}
	return nil
}

// Failing implements ports.RoomDeletions.
func (s *Store) Failing(ctx context.Context, attempts int) (int, error) {
	var rooms int
	err := s.db.WithContext(ctx).Raw(`SELECT count(*) FROM room_deletions WHERE attempts >= ?`, attempts).Row().Scan(&rooms)
	if err != nil {
		return 0, outage(fmt.Errorf("counting the rooms that can't be deleted: %w", err))
	}
	return rooms, nil
}

// Next implements ports.RoomDeletions.
func (s *Store) Next(ctx context.Context) (time.Duration, bool, error) {
	var wait sql.NullInt64
	err := s.db.WithContext(ctx).Raw(`SELECT (extract(epoch FROM min(next_attempt_at) - clock_timestamp()) * 1000000)::bigint
		FROM room_deletions`).Row().Scan(&wait)
	if err != nil {
		return 0, false, outage(fmt.Errorf("looking for the next room to delete: %w", err))
	}
	return max(0, time.Duration(wait.Int64)*time.Microsecond), wait.Valid, nil
}
