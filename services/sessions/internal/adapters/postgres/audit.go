package postgres

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

var (
	_ ports.Audit      = (*Store)(nil)
	_ ports.Quarantine = (*Store)(nil)
)

// SessionIDs implements ports.Audit.
func (s *Store) SessionIDs(ctx context.Context, after string, limit int) ([]string, error) {
	query := s.db.WithContext(ctx).Table("sessions").Select("id").Order("id").Limit(limit)
	if after != "" {
		query = query.Where("id > ?", after)
	}
	var ids []string
	err := query.Scan(&ids).Error
	return ids, failed(ctx, "list the sessions", err)
}

// auditPage is how many events of a log are held at once.
const auditPage = 500

// Examine implements ports.Audit. A long log may take longer than a transaction of the service may last; this one only reads.
func (s *Store) Examine(ctx context.Context, id string, look func(ports.Examined) error) error {
	err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec("SET LOCAL transaction_timeout = 0").Error; err != nil {
			return err
		}
		row, err := readWhole(tx, ports.System(), id)
		if err != nil {
			return err
		}
		stored, err := row.snapshot()
		if err != nil {
			return err
		}
		return look(ports.Examined{
			Stored: stored, LastSeq: row.Session.LastSeq, LastEventID: row.Session.LastEventID,
			Log: func(yield func(ports.LogRow, error) bool) { eachLogged(tx, id, yield) },
		})
	}, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	return failed(ctx, "examine a session", err)
}

// eachLogged reads a log page by page.
func eachLogged(tx *gorm.DB, id string, yield func(ports.LogRow, error) bool) {
	after := int64(0)
	for {
		var rows []eventRow
		err := tx.Where("session_id = ? AND seq > ?", id, after).Order("seq").Limit(auditPage).Find(&rows).Error
		if err != nil {
			yield(ports.LogRow{}, fmt.Errorf("read a log: %w", err))
			return
		}
		for _, row := range rows {
			if !yield(row.logRow(), nil) {
				return
			}
		}
		if len(rows) < auditPage {
			return
		}
		after = rows[len(rows)-1].Seq
	}
}

func (r eventRow) logRow() ports.LogRow {
	row := ports.LogRow{Seq: r.Seq, EventID: r.EventID, Type: events.Type(r.Type), JSON: json.RawMessage(r.Envelope), AppendedAt: r.AppendedAt.UTC()}
	copy(row.Digest[:], r.Digest)
	return row
}

// ListQuarantined implements ports.Quarantine.
func (s *Store) ListQuarantined(ctx context.Context, request ports.QuarantineRequest) ([]ports.SetAside, error) {
	query := s.db.WithContext(ctx).Table("quarantine").
		Select("session_id", "event_id", "type", "reason", "detail", "quarantined_at").
		Order("quarantined_at DESC, id DESC").Limit(request.Limit)
	if request.SessionID != "" {
		query = query.Where("session_id = ?", request.SessionID)
	}
	var rows []quarantineRow
	if err := query.Find(&rows).Error; err != nil {
		return nil, failed(ctx, "list what was set aside", err)
	}
	list := make([]ports.SetAside, len(rows))
	for i, r := range rows {
		list[i] = ports.SetAside{
			SessionID: r.SessionID, EventID: r.EventID, Type: events.Type(r.Type), Reason: domain.QuarantineReason(r.Reason), Detail: r.Detail,
			At: r.QuarantinedAt.In(time.UTC),
		}
	}
	return list, nil
}
