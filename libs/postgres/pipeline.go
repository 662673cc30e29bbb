package postgres

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/gorm"
)

// rollbackTimeout bounds giving a transaction up; after it the connection is closed, which does the same.
const rollbackTimeout = 5 * time.Second

// ErrNotCommitted says that the server rolled back a transaction that it was to commit.
var ErrNotCommitted = errors.New("the transaction was rolled back instead of committed")

// Pipeline is a transaction whose statements are sent to the server in groups, so that a round trip is paid for a group and not for each
// statement. Each still sees what was committed before it ran and what the ones before it did, as if it had been sent alone.
//
// Statements are queued by Queue, or through DB by whatever gorm executes, and sent in order by Flush, by the commit, or before the next
// query through DB. An error of one is that of whatever sent it, and nothing after it in the group has been done. A Pipeline is for one goroutine.
type Pipeline struct {
	db      *gorm.DB
	conn    *sql.Conn
	waiting pgx.Batch
	begun   bool
	failure error // of the first group that failed; the transaction can only be given up then
}

// InPipeline has work done in one transaction, which is committed with the last group of statements where work returns nil, and rolled
// back otherwise. An error of work comes back as it is.
func InPipeline(ctx context.Context, db *gorm.DB, work func(p *Pipeline) error) error {
	pool, err := db.DB()
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	conn, err := pool.Conn(ctx)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	p := &Pipeline{conn: conn}
	defer p.giveUp(ctx)
	p.db = db.Session(&gorm.Session{NewDB: true, Context: ctx})
	p.db.Statement.ConnPool = queueing{p}
	p.waiting.Queue("begin")
	if err := work(p); err != nil {
		return err
	}
	if p.failure != nil {
		return p.failure // work must not hide it
	}
	committed := false
	p.waiting.Queue("commit").Exec(func(done pgconn.CommandTag) error {
		committed = done.String() == "COMMIT"
		return nil
	})
	if err := p.Flush(ctx); err != nil {
		return err
	}
	if !committed {
		return ErrNotCommitted
	}
	return nil
}

// DB returns gorm's handle on the transaction. What it executes is queued, so the number of affected rows is not known from it (it is 0);
// what it queries is sent at once, after all that is queued.
func (p *Pipeline) DB() *gorm.DB { return p.db }

// Queue queues a statement with numbered parameters ($1). What is to be done with its result is said by the methods of what is returned, and
// done while the group is sent.
func (p *Pipeline) Queue(statement string, args ...any) *pgx.QueuedQuery {
	return p.waiting.Queue(statement, args...)
}

// Flush sends what is queued, in one round trip, and waits for it.
func (p *Pipeline) Flush(ctx context.Context) error {
	if p.failure != nil {
		return p.failure
	}
	if p.waiting.Len() == 0 {
		return nil
	}
	group := p.waiting
	p.waiting = pgx.Batch{}
	p.begun = true
	p.failure = p.conn.Raw(func(connection any) error {
		c, err := unwrap(connection)
		if err != nil {
			return err
		}
		return c.SendBatch(ctx, &group).Close()
	})
	return p.failure
}

// giveUp rolls back what is not committed and returns the connection to the pool: a connection that still held locks would hold up others.
func (p *Pipeline) giveUp(ctx context.Context) {
	defer p.conn.Close() //nolint:errcheck // It only goes back to the pool.
	if !p.begun {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackTimeout)
	defer cancel()
	_ = p.conn.Raw(func(connection any) error { // The error only has the connection closed.
		c, err := unwrap(connection)
		if err == nil && !c.IsClosed() && c.PgConn().TxStatus() != 'I' {
			_, err = c.Exec(ctx, "rollback")
		}
		if err != nil || c.IsClosed() {
			return driver.ErrBadConn
		}
		return nil
	})
}

func unwrap(connection any) (*pgx.Conn, error) {
	c, ok := connection.(*stdlib.Conn)
	if !ok {
		return nil, fmt.Errorf("a pipeline needs a connection of pgx, not of %T", connection)
	}
	return c.Conn(), nil
}

// queueing is what gorm executes statements on.
type queueing struct{ p *Pipeline }

var _ gorm.ConnPool = queueing{}

// ExecContext queues a statement.
func (q queueing) ExecContext(_ context.Context, statement string, args ...any) (sql.Result, error) {
	q.p.Queue(statement, args...)
	return driver.RowsAffected(0), nil
}

// QueryContext sends what is queued, and then the query.
func (q queueing) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := q.p.Flush(ctx); err != nil {
		return nil, err
	}
	return q.p.conn.QueryContext(ctx, query, args...)
}

// QueryRowContext sends what is queued, and then the query. Where the former fails the latter fails as well.
func (q queueing) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	_ = q.p.Flush(ctx) // It is kept, and returned in place of what the row says.
	return q.p.conn.QueryRowContext(ctx, query, args...)
}

// PrepareContext implements gorm.ConnPool; pgx prepares by itself.
func (q queueing) PrepareContext(context.Context, string) (*sql.Stmt, error) {
	return nil, errors.New("a pipeline prepares no statements for its callers")
}
