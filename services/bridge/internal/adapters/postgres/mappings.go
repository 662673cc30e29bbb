// Package postgres stores what the bridge knows in PostgreSQL: mappings, receipts, rooms to delete and,
// by the outbox, events to publish.
package postgres

import (
	"context"
	"errors"
	"fmt"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// Store is the bridge's database.
type Store struct{ db *gorm.DB }

var (
	_ ports.Mappings      = (*Store)(nil)
	_ ports.MappingReader = (*Store)(nil)
	_ ports.RoomDeletions = (*Store)(nil)
	_ ports.Enforcements  = (*Store)(nil)
	_ ports.Receipts      = (*Store)(nil)
	_ ports.OldMappings   = (*Store)(nil)
	_ ports.Windows       = (*Store)(nil)
	_ ports.Turns         = (*Store)(nil)
	_ ports.Surveys       = (*Store)(nil)
)

// NewStore returns the store in db, whose schema the migrations have made.
func NewStore(db *gorm.DB) *Store { return &Store{db: db} }

// ChangeSession implements ports.Mappings.
func (s *Store) ChangeSession(ctx context.Context, sessionID string, decide ports.Decide) error {
	return s.transaction(ctx, func(tx *gorm.DB) error {
		row, known, err := lock(tx, "session_id", sessionID)
		if err == nil && !known {
			row, err = insertMapping(tx, domain.New(sessionID))
		}
		if err != nil {
			return err
		}
		return change(tx, row, decide)
	})
}

// Find implements ports.MappingReader.
func (s *Store) Find(ctx context.Context, sessionID string) (domain.Mapping, bool, error) {
	var row mappingRow
	db := s.db.WithContext(ctx)
	err := db.Where(clause.Eq{Column: "session_id", Value: sessionID}).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return domain.Mapping{}, false, nil
	}
	if err != nil {
		return domain.Mapping{}, false, outage(fmt.Errorf("reading a mapping: %w", err))
	}
	state, err := load(db, row)
	if err != nil {
		return domain.Mapping{}, false, outage(err)
	}
	return domain.Restore(state), true, nil
}

// Receive implements ports.Mappings. The receipt comes first: of two equal webhooks at once the second
// waits there for the first to commit.
func (s *Store) Receive(ctx context.Context, receipt ports.Receipt, decide ports.Decide) (ports.Reception, error) {
	var reception ports.Reception
	err := s.transaction(ctx, func(tx *gorm.DB) error {
		kept, err := insertReceipt(tx, receipt)
		switch {
		case err != nil:
			return err
		case !kept:
			reception = ports.Repeated
			return nil
		case decide == nil:
			reception = ports.Noted
			return nil
		}
		row, known, err := lock(tx, "room_name", receipt.RoomName)
		if err != nil {
			return err
		}
		if !known {
			reception = ports.Elsewhere
			return nil
		}
		reception = ports.Stored
		return change(tx, row, decide)
	})
	if err != nil {
		return "", err
	}
	return reception, nil
}

// decisionError carries an error of a decision through the transaction, to be returned as it is.
type decisionError struct{ error }

func (s *Store) transaction(ctx context.Context, work func(tx *gorm.DB) error) error {
	err := s.db.WithContext(ctx).Transaction(work)
	var decided decisionError
	if errors.As(err, &decided) {
		return decided.error
	}
	return outage(err)
}

// outage says of an error whether trying again may help.
func outage(err error) error {
	if err != nil && postgres.IsTransient(err) {
		return fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	return err
}

// change has decide change the locked mapping and stores what it says.
func change(tx *gorm.DB, row mappingRow, decide ports.Decide) error {
	before, err := load(tx, row)
	if err != nil {
		return err
	}
	wanted, err := decide(domain.Restore(before))
	if err != nil {
		return decisionError{err}
	}
	after := wanted.Mapping.State()
	if after.SessionID != before.SessionID {
		return fmt.Errorf("a change of session %s was decided for session %s", after.SessionID, before.SessionID)
	}
	if err := checkClaim(tx, after.SessionID, wanted.Claim); err != nil {
		return err
	}
	if after.Revision != before.Revision {
		if err := save(tx, before, after); err != nil {
			return err
		}
	}
	if wanted.DeleteRoom {
		if err := requestDeletion(tx, after.RoomName); err != nil {
			return err
		}
	}
	if err := requestStandings(tx, after.SessionID, wanted.Standings); err != nil {
		return err
	}
	if err := checkAdmission(tx, after, wanted.Admits); err != nil {
		return err
	}
	return publish(tx, wanted.Events)
}

// lock reads a mapping's row and locks it until the transaction ends.
func lock(tx *gorm.DB, column, value string) (row mappingRow, known bool, err error) {
	err = tx.Clauses(clause.Locking{Strength: "UPDATE"}).Where(clause.Eq{Column: column, Value: value}).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return row, false, nil
	}
	if err != nil {
		return row, false, fmt.Errorf("locking a mapping: %w", err)
	}
	return row, true, nil
}

// insertMapping makes a mapping's row, or takes the one that somebody else has made meanwhile, and locks it.
func insertMapping(tx *gorm.DB, m domain.Mapping) (mappingRow, error) {
	fresh := toMappingRow(m.State())
	made := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&fresh)
	if made.Error != nil {
		return fresh, fmt.Errorf("making a mapping: %w", made.Error)
	}
	if made.RowsAffected == 1 {
		return fresh, nil
	}
	row, known, err := lock(tx, "session_id", m.SessionID())
	if err == nil && !known {
		err = fmt.Errorf("the mapping of session %s came and went", m.SessionID())
	}
	return row, err
}
