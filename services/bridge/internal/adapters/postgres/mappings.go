// Package postgres stores what the bridge knows in PostgreSQL: mappings, receipts, the work that is
// to be done at the provider and, by the outbox, events to publish.
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
	db    *gorm.DB
	hand  func(*outbox.Added)
	cache versionCache // mappings as this store last committed them
}

var (
	_ ports.Mappings        = (*Store)(nil)
	_ ports.MappingReader   = (*Store)(nil)
	_ ports.RoomDeletions   = (*Store)(nil)
	_ ports.PermissionSyncs = (*Store)(nil)
	_ ports.Receipts        = (*Store)(nil)
	_ ports.OldMappings     = (*Store)(nil)
	_ ports.RoomChecks      = (*Store)(nil)
	_ ports.ReconcileLease  = (*Store)(nil)
	_ ports.MappingSurvey   = (*Store)(nil)
)

// NewStore returns the store in db, whose schema the migrations have made. hand gets what each
// commit has added to the outbox, or nil.
func NewStore(db *gorm.DB, hand func(*outbox.Added)) *Store {
	return &Store{db: db, hand: hand, cache: newVersionCache()}
}

// ChangeSession implements ports.Mappings.
func (s *Store) ChangeSession(ctx context.Context, sessionID string, decide ports.Decide) error {
	var done storedChange
	err := s.transaction(ctx, func(p *postgres.Pipeline) error {
		before, known, err := lock(ctx, p, bySession, sessionID)
		if err == nil && !known {
			before, err = insertMapping(ctx, p, domain.New(sessionID))
		}
		if err != nil {
			return err
		}
		done, err = change(ctx, p, before, decide)
		return err
	})
	if err == nil {
		s.committed(done)
	}
	return err
}

// Find implements ports.MappingReader.
func (s *Store) Find(ctx context.Context, sessionID string) (domain.Mapping, bool, error) {
	var row aggregateRow
	err := s.db.WithContext(ctx).Raw(aggregateStatement+` WHERE m.session_id = ?`, sessionID).Take(&row).Error
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

// Receive implements ports.Mappings. The receipt comes first: of two equal webhooks at once the
// second waits there for the first to commit.
func (s *Store) Receive(ctx context.Context, receipt ports.Receipt, decide ports.Decide) (ports.Reception, error) {
	if reception, err := s.receiveIfUnchanged(ctx, receipt, decide); reception != "" || err != nil {
		return reception, err
	}
	var reception ports.Reception
	var done storedChange
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
			reception = ports.UnknownRoom
			return nil
		}
		reception = ports.Stored
		done, err = change(ctx, p, before, decide)
		return err
	})
	if err != nil {
		return "", err
	}
	if reception == ports.Stored {
		s.committed(done)
	}
	return reception, nil
}

// decisionError carries an error of a decision through the transaction, to be returned as it is.
type decisionError struct{ error }

// transaction has work done in one transaction. Where all goes well its statements are sent in two
// groups: the reads under the lock, and the writes with the commit.
func (s *Store) transaction(ctx context.Context, work func(p *postgres.Pipeline) error) error {
	err := postgres.InPipeline(ctx, s.db, work)
	var decided decisionError
	if errors.As(err, &decided) {
		return decided.error
	}
	return outage(err)
}

// outage marks an error of which trying again may help.
func outage(err error) error {
	if err != nil && postgres.IsTransient(err) {
		return fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
	}
	return err
}

// change has decide change the locked mapping and stores the decision.
func change(ctx context.Context, p *postgres.Pipeline, before storedMapping, decide ports.Decide) (storedChange, error) {
	wanted, err := decide(domain.Restore(before.state))
	if err != nil {
		return storedChange{}, decisionError{err}
	}
	return store(ctx, p, before, wanted)
}

// store queues the statements that store a change, which was decided on the mapping as it was
// before and is locked.
func store(ctx context.Context, p *postgres.Pipeline, before storedMapping, wanted ports.Change) (done storedChange, err error) {
	tx := p.DB()
	done = storedChange{found: before.version, storedMapping: storedMapping{state: wanted.Mapping.State(), version: before.version}}
	after := done.state
	if after.SessionID != before.state.SessionID {
		return done, fmt.Errorf("a change of session %s was decided for session %s", after.SessionID, before.state.SessionID)
	}
	if err := checkClaim(tx, after.SessionID, wanted.Claim); err != nil {
		return done, err
	}
	if after.Revision != before.state.Revision {
		done.version = version{revision: after.Revision, at: tx.NowFunc().UnixMicro()}
		if err := save(tx, before.state, after, done.version); err != nil {
			return done, err
		}
	}
	if wanted.DeleteRoom {
		if err := requestDeletion(tx, after.RoomName, wanted.Noticed); err != nil {
			return done, err
		}
	}
	if err := requestPermissions(tx, after.SessionID, wanted.Permissions, wanted.Noticed); err != nil {
		return done, err
	}
	if err := checkGrant(tx, after, wanted.Admits); err != nil {
		return done, err
	}
	done.added, err = publish(ctx, p, wanted.Events)
	return done, err
}

// The columns by which one mapping is found.
const (
	bySession = "session_id"
	byRoom    = "room_name"
)

func lockStatement(by string) string {
	return `SELECT 1 FROM mappings m WHERE m.` + by + ` = $1 FOR UPDATE`
}

func readStatement(by string) string { return aggregateStatement + ` WHERE m.` + by + ` = $1` }

// lock locks a mapping until the transaction ends, and reads it in a statement of its own: one that
// also waited for the lock would see the other tables as they were before. A mapping that was
// committed between the two is not known: it is read, and not locked.
func lock(ctx context.Context, p *postgres.Pipeline, by, value string) (s storedMapping, known bool, err error) {
	locked := false
	p.Queue(lockStatement(by), value).Query(func(rows pgx.Rows) error {
		locked = rows.Next()
		return rows.Err()
	})
	p.Queue(readStatement(by), value).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var row aggregateRow
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

// insertMapping makes a mapping, or takes the one that another transaction has made meanwhile, and
// locks it.
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
