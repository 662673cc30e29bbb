package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/contracts/topology"
	"github.com/callplane/callplane/libs/outbox"
	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// The first one fails where the receipt is there already.
const (
	insertNewReceiptStatement = `INSERT INTO webhook_receipts (webhook_id, kind, room_name, received_at) VALUES ($1, $2, $3, $4)`
	insertReceiptStatement    = insertNewReceiptStatement + ` ON CONFLICT (webhook_id) DO NOTHING`
)

// insertReceipt queues the statement that stores a receipt. Once it is sent, kept says whether the
// receipt is new.
func insertReceipt(p *postgres.Pipeline, r ports.Receipt) (kept *bool) {
	kept = new(bool)
	p.Queue(insertReceiptStatement, r.ID, r.Kind, r.RoomName, r.ReceivedAt).Exec(func(done pgconn.CommandTag) error {
		*kept = done.RowsAffected() == 1
		return nil
	})
	return kept
}

const forgetReceiptsStatement = `DELETE FROM webhook_receipts WHERE webhook_id IN
	(SELECT webhook_id FROM webhook_receipts WHERE received_at < ? ORDER BY received_at LIMIT ? FOR UPDATE SKIP LOCKED)`

// ForgetReceipts implements ports.Receipts.
func (s *Store) ForgetReceipts(ctx context.Context, before time.Time, limit int) (int, error) {
	done := s.db.WithContext(ctx).Exec(forgetReceiptsStatement, before, limit)
	if done.Error != nil {
		return 0, outage(fmt.Errorf("forgetting old receipts: %w", done.Error))
	}
	return int(done.RowsAffected), nil
}

const forgetMappingsStatement = `DELETE FROM mappings WHERE session_id IN
	(SELECT m.session_id FROM mappings m WHERE m.final_since < ?
		AND NOT EXISTS (SELECT 1 FROM room_deletions d WHERE d.room_name = m.room_name)
		AND NOT EXISTS (SELECT 1 FROM standings w WHERE w.session_id = m.session_id)
		ORDER BY m.final_since LIMIT ? FOR UPDATE OF m SKIP LOCKED)`

// ForgetMappings implements ports.OldMappings. A mapping with work at the provider stays, since the
// work would go with it.
func (s *Store) ForgetMappings(ctx context.Context, before time.Time, limit int) (int, error) {
	done := s.db.WithContext(ctx).Exec(forgetMappingsStatement, before, limit)
	if done.Error != nil {
		return 0, outage(fmt.Errorf("forgetting old mappings: %w", done.Error))
	}
	return int(done.RowsAffected), nil
}

// publish puts events into the outbox. The mapping is locked, so those of one session get there in
// order.
func publish(ctx context.Context, p *postgres.Pipeline, sealed []events.Sealed) (*outbox.Added, error) {
	rows := make([]outbox.Row, 0, len(sealed))
	for _, s := range sealed {
		e := s.Envelope()
		rows = append(rows, outbox.Row{
			PartitionKey: e.SessionID, Exchange: topology.EventsExchange, RoutingKey: string(e.Type), MessageID: e.EventID,
			Headers: map[string]string{topology.HeaderSessionID: e.SessionID}, Body: s.JSON(),
		})
	}
	return outbox.Add(ctx, p, rows...)
}
