package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

var _ ports.IdempotencyStore = (*Store)(nil)

// keyRow is a row of the table idempotency_keys.
type keyRow struct {
	UserID      string    `gorm:"column:user_id;primaryKey"`
	Key         string    `gorm:"column:key;primaryKey"`
	Fingerprint []byte    `gorm:"column:fingerprint"`
	KeepUntil   time.Time `gorm:"column:keep_until"`
	Status      *int      `gorm:"column:status"`
	Headers     *string   `gorm:"column:headers"`
	Body        []byte    `gorm:"column:body"`
}

// TableName is gorm's.
func (keyRow) TableName() string { return "idempotency_keys" }

// Once implements ports.IdempotencyStore. The key's row is inserted first, in the transaction of the work: a repeat that inserts it too
// waits for that transaction's end, and goes on with what it left.
func (s *Store) Once(
	ctx context.Context, request ports.KeyedRequest, work func(ports.SessionStore) (ports.Response, error),
) (response ports.Response, replayed bool, err error) {
	err = s.transact(ctx, "answer a request with a key", func(tx *transaction) error {
		first, err := claimKey(ctx, tx, request)
		if err != nil {
			return err
		}
		if first != nil {
			replayed = true
			response, err = first.response(request)
			return err
		}
		part := &Store{db: tx.DB(), exchange: s.exchange, joined: tx}
		if response, err = work(part); err != nil {
			return err
		}
		return keepResponse(tx.DB(), request, response)
	})
	if err != nil {
		return ports.Response{}, false, err
	}
	return response, replayed, nil
}

// How long taking a key may take is bounded, and what bounded it before is kept for the statements that follow. The bound is the
// statement's and not the lock's: where the first request fails, a repeat may wait on for the next one that came before it, and
// lock_timeout would begin anew with each.
const (
	keepBoundStatement = `SELECT set_config('callplane.statement_timeout', current_setting('statement_timeout'), true)`
	boundStatement     = `SELECT set_config('statement_timeout', @patience, true)`
)

// takeKeyStatement makes the key the transaction's where nobody has it or its time is served, and takes the bound off again. A key that
// was answered is locked by none of its repeats.
const takeKeyStatement = `
WITH again AS (
	UPDATE idempotency_keys SET fingerprint = @fingerprint, keep_until = @keep_until, status = NULL, headers = NULL, body = NULL
	 WHERE user_id = @user AND key = @key AND keep_until <= @at
	RETURNING 1
), new AS (
	INSERT INTO idempotency_keys (user_id, key, fingerprint, keep_until) VALUES (@user, @key, @fingerprint, @keep_until)
	    ON CONFLICT DO NOTHING
	RETURNING 1
)
SELECT (SELECT count(*) FROM again) + (SELECT count(*) FROM new)
  FROM set_config('statement_timeout', current_setting('callplane.statement_timeout'), true)`

// claimKey makes the key the transaction's and returns nil, or returns the row of the request that came first.
func claimKey(ctx context.Context, tx *transaction, request ports.KeyedRequest) (*keyRow, error) {
	var claimed int64
	tx.Queue(keepBoundStatement)
	tx.Queue(boundStatement, pgx.NamedArgs{"patience": strconv.FormatInt(ports.IdempotencyPatience.Milliseconds(), 10)})
	tx.Queue(takeKeyStatement, pgx.NamedArgs{
		"user": request.UserID, "key": request.Key, "fingerprint": request.Fingerprint[:], "keep_until": request.KeepUntil, "at": request.At,
	}).QueryRow(func(row pgx.Row) error { return row.Scan(&claimed) })
	err := tx.Flush(ctx)
	switch {
	case postgres.IsStatementTimeout(err):
		return nil, ports.ErrIdempotencyInProgress
	case err != nil:
		return nil, err
	case claimed == 1:
		return nil, nil // This is the first request.
	}
	var first keyRow
	err = tx.DB().Where("user_id = ? AND key = ? AND keep_until > ?", request.UserID, request.Key, request.At).Take(&first).Error
	if errors.Is(err, gorm.ErrRecordNotFound) { // It was forgotten in between; who asks again is the first.
		err = fmt.Errorf("claim a key: it is no more: %w", ports.ErrUnavailable)
	}
	return &first, err
}

func keepResponse(tx *gorm.DB, request ports.KeyedRequest, response ports.Response) error {
	headers, err := json.Marshal(maps.Collect(maps.All(response.Headers))) // never null
	if err != nil {
		return fmt.Errorf("encode the headers of a response: %w", err)
	}
	return tx.Model(&keyRow{}).Where("user_id = ? AND key = ?", request.UserID, request.Key).
		Updates(map[string]any{"status": response.Status, "headers": string(headers), "body": append([]byte{}, response.Body...)}).Error
}

// response is what the request that came first was told, where the request is a repeat of it.
func (r keyRow) response(request ports.KeyedRequest) (ports.Response, error) {
	if len(r.Fingerprint) != sha256.Size || [sha256.Size]byte(r.Fingerprint) != request.Fingerprint {
		return ports.Response{}, ports.ErrIdempotencyKeyReused
	}
	if r.Status == nil || r.Headers == nil {
		return ports.Response{}, errors.New("a key is kept without its response")
	}
	response := ports.Response{Status: *r.Status, Body: r.Body}
	if err := json.Unmarshal([]byte(*r.Headers), &response.Headers); err != nil {
		return ports.Response{}, fmt.Errorf("read the headers of a response: %w", err)
	}
	return response, nil
}

// Forget implements ports.IdempotencyStore.
func (s *Store) Forget(ctx context.Context, now time.Time, limit int) (int, error) {
	done := s.db.WithContext(ctx).Exec(`DELETE FROM idempotency_keys WHERE (user_id, key) IN
		(SELECT user_id, key FROM idempotency_keys WHERE keep_until <= ? ORDER BY keep_until LIMIT ? FOR UPDATE SKIP LOCKED)`, now, limit)
	return int(done.RowsAffected), failed(ctx, "remove old keys", done.Error)
}
