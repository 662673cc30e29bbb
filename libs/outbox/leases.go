package outbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gorm.io/gorm"
)

// leases are this relay's claims on lanes. Only the database's clock counts, so that no two processes have to agree on the time.
type leases struct {
	db     *gorm.DB
	holder string
	lease  time.Duration
}

// heldLane is a lane and the fence of its lease, which grows each time that the lane is taken.
type heldLane struct {
	Lane  int16
	Fence int64
}

// renew makes this relay known, prolongs its leases and returns the lanes it holds, and how many it should hold.
func (l *leases) renew(ctx context.Context) (held map[int16]int64, share int, err error) {
	db := l.db.WithContext(ctx)
	if err := db.Exec(`INSERT INTO outbox_relays (holder, expires_at) VALUES (?, clock_timestamp() + ?::interval)
		ON CONFLICT (holder) DO UPDATE SET expires_at = excluded.expires_at`, l.holder, l.interval()).Error; err != nil {
		return nil, 0, fmt.Errorf("make the relay known: %w", err)
	}
	var relays []string
	if err := db.Raw(`SELECT holder FROM outbox_relays WHERE expires_at > clock_timestamp()`).Scan(&relays).Error; err != nil {
		return nil, 0, fmt.Errorf("find the other relays: %w", err)
	}
	var lanes []heldLane
	if err := db.Raw(`UPDATE outbox_lanes SET expires_at = clock_timestamp() + ?::interval
		WHERE holder = ? AND expires_at > clock_timestamp() RETURNING lane, fence`, l.interval(), l.holder).Scan(&lanes).Error; err != nil {
		return nil, 0, fmt.Errorf("renew the leases: %w", err)
	}
	return laneMap(lanes), shareOf(l.holder, relays), nil
}

// take claims up to n lanes that nobody holds.
func (l *leases) take(ctx context.Context, n int) (map[int16]int64, error) {
	var lanes []heldLane
	err := l.db.WithContext(ctx).Raw(`UPDATE outbox_lanes SET holder = ?, fence = fence + 1, expires_at = clock_timestamp() + ?::interval
		WHERE lane IN (SELECT lane FROM outbox_lanes WHERE holder IS NULL OR expires_at <= clock_timestamp()
			ORDER BY lane LIMIT ? FOR UPDATE SKIP LOCKED)
		RETURNING lane, fence`, l.holder, l.interval(), n).Scan(&lanes).Error
	if err != nil {
		return nil, fmt.Errorf("take lanes: %w", err)
	}
	return laneMap(lanes), nil
}

// release gives one lane up.
func (l *leases) release(ctx context.Context, lane int16, fence int64) error {
	err := l.db.WithContext(ctx).Exec(`UPDATE outbox_lanes SET holder = NULL, expires_at = NULL
		WHERE lane = ? AND holder = ? AND fence = ?`, lane, l.holder, fence).Error
	if err != nil {
		return fmt.Errorf("give a lane up: %w", err)
	}
	return nil
}

// leave gives all lanes up and is no longer one of the relays.
func (l *leases) leave(ctx context.Context) error {
	db := l.db.WithContext(ctx)
	if err := db.Exec(`UPDATE outbox_lanes SET holder = NULL, expires_at = NULL WHERE holder = ?`, l.holder).Error; err != nil {
		return fmt.Errorf("give the lanes up: %w", err)
	}
	if err := db.Exec(`DELETE FROM outbox_relays WHERE holder = ?`, l.holder).Error; err != nil {
		return fmt.Errorf("sign the relay off: %w", err)
	}
	return nil
}

func (l *leases) interval() string { return fmt.Sprintf("%d milliseconds", l.lease.Milliseconds()) }

func laneMap(lanes []heldLane) map[int16]int64 {
	m := make(map[int16]int64, len(lanes))
	for _, l := range lanes {
		m[l.Lane] = l.Fence
	}
	return m
}

// shareOf divides the lanes among the relays; all come to the same result from the same list. Where they don't divide evenly, the first
// by name have one more.
func shareOf(holder string, relays []string) int {
	if !slices.Contains(relays, holder) {
		relays = append(relays, holder)
	}
	slices.Sort(relays)
	share := Lanes / len(relays)
	if slices.Index(relays, holder) < Lanes%len(relays) {
		share++
	}
	return share
}
