package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// Store is ports.SessionStore on PostgreSQL. Every change locks the session's row before it writes anything else, so one session's changes
// follow each other and its outbox rows are in the order of their commits.
type Store struct {
	db       *gorm.DB
	exchange string
	wake     func(sessionIDs ...string)
	added    func(ports.Appended)   // nil: nobody follows
	joined   *transaction           // what it does is a part of; nil: each method has its own
	secret   atomic.Pointer[[]byte] // for cursors, once it was read
	left     memory                 // how this store left sessions
}

var _ ports.SessionStore = (*Store)(nil)

// NewStore returns a store on db. What begins here is published to exchange; wake is told the session after each commit with something to
// publish.
func NewStore(db *gorm.DB, exchange string, wake func(sessionIDs ...string)) *Store {
	return &Store{db: db, exchange: exchange, wake: wake, left: newMemory()}
}

// Create implements ports.SessionStore.
func (s *Store) Create(ctx context.Context, session *domain.Session, log []ports.Entry) (ports.View, error) {
	err := s.transact(ctx, "create a session", func(tx *transaction) error {
		return s.write(ctx, tx, insertStatement, change{after: session.Snapshot(), entries: log})
	})
	if err != nil {
		return ports.View{}, err
	}
	return ports.View{Session: session, LastEventID: log[len(log)-1].Event.EventID}, nil
}

// Get implements ports.SessionStore.
func (s *Store) Get(ctx context.Context, viewer ports.Viewer, id string) (ports.View, error) {
	row, err := readWhole(s.db.WithContext(ctx), viewer, id)
	if err != nil {
		return ports.View{}, failed(ctx, "read a session", err)
	}
	session, err := row.session()
	if err != nil {
		return ports.View{}, err
	}
	return ports.View{Session: session, LastEventID: row.Session.LastEventID}, nil
}

// Update implements ports.SessionStore.
func (s *Store) Update(
	ctx context.Context, viewer ports.Viewer, id string, change func(*domain.Session) ([]ports.Entry, error),
) (ports.View, error) {
	var view ports.View
	err := s.transact(ctx, "change a session", func(tx *transaction) error {
		row, err := lockWhole(ctx, tx, viewer, id, "")
		if err != nil {
			return err
		}
		session, err := row.session()
		if err != nil {
			return err
		}
		before := session.Snapshot()
		entries, err := change(session)
		if err != nil {
			return err
		}
		view = ports.View{Session: session, LastEventID: row.Session.LastEventID}
		if len(entries) == 0 {
			return nil
		}
		view.LastEventID = entries[len(entries)-1].Event.EventID
		return s.save(ctx, tx, row.end(), before, session.Snapshot(), entries)
	})
	if err != nil {
		return ports.View{}, err
	}
	return view, nil
}

// Take implements ports.SessionStore.
func (s *Store) Take(
	ctx context.Context, event events.Accepted, decide func(*domain.Session, *domain.Digest) (ports.Intake, error),
) error {
	if taken, err := s.takeAsLeft(ctx, event, decide); taken || err != nil {
		return err
	}
	return s.transact(ctx, "take an event in", func(tx *transaction) error {
		session, row, err := lockSession(ctx, tx, event)
		if err != nil {
			return err
		}
		var before domain.Snapshot
		if session != nil {
			before = session.Snapshot()
		}
		intake, err := decide(session, row.logged())
		if err != nil {
			return err
		}
		if q := intake.Quarantined; q != nil {
			if err := insertQuarantined(tx.DB(), *q); err != nil {
				return err
			}
		}
		if len(intake.Entries) == 0 {
			return nil
		}
		return s.save(ctx, tx, row.end(), before, session.Snapshot(), intake.Entries)
	})
}

// transaction is one that is going on, and what is to be told when it is committed.
type transaction struct {
	*postgres.Pipeline
	appended []ports.Appended
	publish  []string // the sessions of which there is something to publish
	left     []leftSession
}

// transact runs do in one transaction, or in the one that the store is a part of, and then tells what it added to logs. Its error is
// ports.ErrUnavailable where trying again may help.
func (s *Store) transact(ctx context.Context, what string, do func(tx *transaction) error) error {
	if s.joined != nil {
		return do(s.joined)
	}
	tx := &transaction{}
	err := postgres.InPipeline(ctx, s.db, func(p *postgres.Pipeline) error {
		tx.Pipeline = p
		return do(tx)
	})
	if err != nil {
		return failed(ctx, what, err)
	}
	s.committed(tx)
	return nil
}

// committed tells what a transaction did.
func (s *Store) committed(tx *transaction) {
	if s.added != nil {
		for _, a := range tx.appended {
			s.added(a)
		}
	}
	for _, l := range tx.left {
		s.left.Left(l.state.ID, l.found, l.end, l.state)
	}
	if len(tx.publish) > 0 {
		s.wake(tx.publish...)
	}
}

// failed turns the database's errors into the port's.
func failed(ctx context.Context, what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gorm.ErrRecordNotFound):
		return domain.ErrNotFound
	case ctx.Err() != nil && !errors.Is(err, ctx.Err()): // the driver may say only that the transaction is gone
		return fmt.Errorf("%s: %w (%w)", what, ctx.Err(), err)
	case postgres.IsTransient(err):
		return fmt.Errorf("%s: %w: %w", what, ports.ErrUnavailable, err)
	default:
		return fmt.Errorf("%s: %w", what, err)
	}
}
