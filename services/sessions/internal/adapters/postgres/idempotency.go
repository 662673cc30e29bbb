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

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

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
	var changed []string
	err = s.transact(ctx, "answer a request with a key", func(tx *gorm.DB) error {
		first, err := claimKey(tx, request)
		if err != nil {
			return err
		}
		if first != nil {
			replayed = true
			response, err = first.response(request)
			return err
		}
		joined := tx.Session(&gorm.Session{DisableNestedTransaction: true})
		inner := NewStore(joined, s.exchange, func(sessionIDs ...string) { changed = append(changed, sessionIDs...) })
		if response, err = work(inner); err != nil {
			return err
		}
		return keepResponse(tx, request, response)
	})
	if err != nil {
		return ports.Response{}, false, err
	}
	if len(changed) > 0 {
		s.wake(changed...)
	}
	return response, replayed, nil
}

// takeovers bounds how often a key is claimed again that was found to have served its time.
const takeovers = 3

// claimKey makes the key the transaction's and returns nil, or returns the row of the request that came first.
func claimKey(tx *gorm.DB, request ports.KeyedRequest) (*keyRow, error) {
	patience := strconv.FormatInt(ports.IdempotencyPatience.Milliseconds(), 10)
	if err := tx.Exec("SELECT set_config('lock_timeout', ?, true)", patience).Error; err != nil {
		return nil, err
	}
	row := keyRow{UserID: request.UserID, Key: request.Key, Fingerprint: request.Fingerprint[:], KeepUntil: request.KeepUntil}
	for range takeovers {
		inserted := tx.Clauses(clause.OnConflict{DoNothing: true}).
			Select("user_id", "key", "fingerprint", "keep_until").Create(&row)
		switch {
		case postgres.IsLockTimeout(inserted.Error):
			return nil, ports.ErrIdempotencyInProgress
		case inserted.Error != nil:
			return nil, inserted.Error
		case inserted.RowsAffected == 1:
			return nil, nil // This is the first request.
		}
		var first keyRow
		err := tx.Where("user_id = ? AND key = ? AND keep_until > ?", request.UserID, request.Key, request.At).Take(&first).Error
		if err == nil {
			return &first, nil
		}
		if !errors.Is(err, gorm.ErrRecordNotFound) {
			return nil, err
		}
		err = tx.Where("user_id = ? AND key = ? AND keep_until <= ?", request.UserID, request.Key, request.At).Delete(&keyRow{}).Error
		if err != nil {
			return nil, err
		}
	}
	return nil, fmt.Errorf("claim a key: others take it again and again: %w", ports.ErrUnavailable)
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
