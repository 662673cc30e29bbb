// Package postgres stores what the bridge knows in PostgreSQL: mappings, receipts, rooms to delete and,
// by the outbox, events to publish.
package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/callplane/callplane/libs/outbox"
	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// Store is the bridge's database.
type Store struct {
	db   *gorm.DB
	hand func(*outbox.Added)
	left memory // how this store left mappings
}

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

// NewStore returns the store in db, whose schema the migrations have made. hand is given what each commit has added to the outbox, or nil.
func NewStore(db *gorm.DB, hand func(*outbox.Added)) *Store {
	return &Store{db: db, hand: hand, left: newMemory()}
}

// ChangeSession implements ports.Mappings.
func (s *Store) ChangeSession(ctx context.Context, sessionID string, decide ports.Decide) error {
	var left leftMapping
	err := s.transaction(ctx, func(p *postgres.Pipeline) error {
		before, known, err := lock(ctx, p, bySession, sessionID)
		if err == nil && !known {
			before, err = insertMapping(ctx, p, domain.New(sessionID))
		}
		if err != nil {
			return err
		}
		left, err = change(ctx, p, before, decide)
		return err
	})
	if err == nil {
		s.committed(left)
	}
	return err
}

// Find implements ports.MappingReader.
func (s *Store) Find(ctx context.Context, sessionID string) (domain.Mapping, bool, error) {
	var row wholeRow
	err := s.db.WithContext(ctx).Raw(wholeStatement+` WHERE m.session_id = ?`, sessionID).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return domain.Mapping{}, false, nil
	}
	if err != nil {
		return domain.Mapping{}, false, outage(fmt.Errorf("reading a mapping: %w", err))
	}
	state, err := row.state()
	if err != nil {
		return domain.Mapping{}, false, err
	}
	return domain.Restore(state), true, nil
}

// Receive implements ports.Mappings. The receipt comes first: of two equal webhooks at once the second
// waits there for the first to commit.
func (s *Store) Receive(ctx context.Context, receipt ports.Receipt, decide ports.Decide) (ports.Reception, error) {
	if reception, err := s.receiveAsLeft(ctx, receipt, decide); reception != "" || err != nil {
		return reception, err
	}
	var reception ports.Reception
	var left leftMapping
	err := s.transaction(ctx, func(p *postgres.Pipeline) error {
		kept := insertReceipt(p, receipt)
		if decide == nil {
			if err := p.Flush(ctx); err != nil {
				return fmt.Errorf("storing a webhook's receipt: %w", err)
			}
			reception = ports.Noted
			if !*kept {
				reception = ports.Repeated
			}
			return nil
		}
		before, known, err := lock(ctx, p, byRoom, receipt.RoomName)
		switch {
		case err != nil:
			return err
		case !*kept:
			reception = ports.Repeated
			return nil
		case !known:
			reception = ports.Elsewhere
			return nil
		}
		reception = ports.Stored
		left, err = change(ctx, p, before, decide)
		return err
	})
	if err != nil {
		return "", err
	}
	if reception == ports.Stored {
		s.committed(left)
	}
	return reception, nil
}

// decisionError carries an error of a decision through the transaction, to be returned as it is.
type decisionError struct{ error }

// transaction has work done in one transaction. Its statements are sent in two groups where all goes well: what is read under the lock, and
// what is written with the commit.
func (s *Store) transaction(ctx context.Context, work func(p *postgres.Pipeline) error) error {
	err := postgres.InPipeline(ctx, s.db, work)
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
func change(ctx context.Context, p *postgres.Pipeline, before storedMapping, decide ports.Decide) (leftMapping, error) {
	wanted, err := decide(domain.Restore(before.state))
	if err != nil {
		return leftMapping{}, decisionError{err}
	}
	return store(ctx, p, before, wanted)
}

// store queues storing what was decided on a mapping that is locked and as it was before.
func store(ctx context.Context, p *postgres.Pipeline, before storedMapping, wanted ports.Change) (left leftMapping, err error) {
	tx := p.DB()
	left = leftMapping{found: before.version, storedMapping: storedMapping{state: wanted.Mapping.State(), version: before.version}}
	after := left.state
	if after.SessionID != before.state.SessionID {
		return left, fmt.Errorf("a change of session %s was decided for session %s", after.SessionID, before.state.SessionID)
	}
	if err := checkClaim(tx, after.SessionID, wanted.Claim); err != nil {
		return left, err
	}
	if after.Revision != before.state.Revision {
		left.version = version{revision: after.Revision, at: tx.NowFunc().UnixMicro()}
		if err := save(tx, before.state, after, left.version); err != nil {
			return left, err
		}
	}
	if wanted.DeleteRoom {
		if err := requestDeletion(tx, after.RoomName); err != nil {
			return left, err
		}
	}
	if err := requestStandings(tx, after.SessionID, wanted.Standings); err != nil {
		return left, err
	}
	if err := checkAdmission(tx, after, wanted.Admits); err != nil {
		return left, err
	}
	left.added, err = publish(ctx, p, wanted.Events)
	return left, err
}

// The columns by which one mapping is found.
const (
	bySession = "session_id"
	byRoom    = "room_name"
)

func lockStatement(by string) string {
	return `SELECT 1 FROM mappings m WHERE m.` + by + ` = $1 FOR UPDATE`
}

func readStatement(by string) string { return wholeStatement + ` WHERE m.` + by + ` = $1` }

// lock locks a mapping until the transaction ends, and reads it in a statement of its own: one that also waited for the lock would see the
// other tables as they were before. A mapping that was committed between the two is not known: it is read, and not locked.
func lock(ctx context.Context, p *postgres.Pipeline, by, value string) (s storedMapping, known bool, err error) {
	locked := false
	p.Queue(lockStatement(by), value).Query(func(rows pgx.Rows) error {
		locked = rows.Next()
		return rows.Err()
	})
	p.Queue(readStatement(by), value).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var row wholeRow
			if err := rows.Scan(&row.Mapping, &row.Members, &row.Participants, &row.Tracks); err != nil {
				return err
			}
			if s, err = row.stored(); err != nil {
				return err
			}
			known = locked
		}
		return rows.Err()
	})
	if err := p.Flush(ctx); err != nil {
		return s, false, fmt.Errorf("locking a mapping: %w", err)
	}
	return s, known, nil
}

// insertMapping makes a mapping, or takes the one that somebody else has made meanwhile, and locks it.
func insertMapping(ctx context.Context, p *postgres.Pipeline, m domain.Mapping) (storedMapping, error) {
	fresh := toMappingRow(m.State())
	fresh.UpdatedAt = p.DB().NowFunc()
	if err := p.DB().Clauses(clause.OnConflict{DoNothing: true}).Create(&fresh).Error; err != nil {
		return storedMapping{}, fmt.Errorf("making a mapping: %w", err)
	}
	s, known, err := lock(ctx, p, bySession, m.SessionID())
	if err == nil && !known {
		err = fmt.Errorf("the mapping of session %s came and went", m.SessionID())
	}
	return s, err
}
