package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// watermarkStatement finds where a page begins and where the log ends. The log only grows, so what lies between stays as it is.
const watermarkStatement = `
SELECT s.last_seq, s.last_event_id,
       (SELECT e.seq FROM events e WHERE e.session_id = s.id AND e.event_id = @event) AS after_seq
  FROM sessions s
 WHERE ` + visible

type watermarkRow struct {
	LastSeq     int64  `gorm:"column:last_seq"`
	LastEventID string `gorm:"column:last_event_id"`
	AfterSeq    *int64 `gorm:"column:after_seq"`
}

type pageRow struct {
	EventID  string `gorm:"column:event_id"`
	Envelope string `gorm:"column:envelope"`
}

// Events implements ports.SessionStore.
func (s *Store) Events(ctx context.Context, viewer ports.Viewer, id string, request ports.PageRequest) (ports.Page, error) {
	db := s.db.WithContext(ctx)
	var mark watermarkRow
	if err := db.Raw(watermarkStatement, arguments(viewer, id, request.After)).Take(&mark).Error; err != nil {
		return ports.Page{}, failed(ctx, "find a watermark", err)
	}
	after := int64(0)
	if request.After != "" {
		if mark.AfterSeq == nil {
			return ports.Page{}, s.watermarkGone(ctx, id)
		}
		after = *mark.AfterSeq
	}
	query := db.Table("events").Select("event_id", "envelope").
		Where("session_id = ? AND seq > ? AND seq <= ?", id, after, mark.LastSeq).Order("seq").Limit(request.Limit + 1)
	if len(request.Types) > 0 {
		query = query.Where("type IN ?", names(request.Types))
	}
	if !viewer.All {
		query = query.Where("type NOT LIKE ?", domain.BillingPrefix+"%")
	}
	var rows []pageRow
	if err := query.Find(&rows).Error; err != nil {
		return ports.Page{}, failed(ctx, "read a log", err)
	}
	page := ports.Page{Items: []json.RawMessage{}, LastEventID: mark.LastEventID}
	if len(rows) > request.Limit {
		rows = rows[:request.Limit]
		page.HasMore, page.LastEventID = true, rows[len(rows)-1].EventID
	}
	for _, row := range rows {
		page.Items = append(page.Items, json.RawMessage(row.Envelope))
	}
	return page, nil
}

// Event implements ports.SessionStore.
func (s *Store) Event(ctx context.Context, id, eventID string) (json.RawMessage, error) {
	var row pageRow
	err := s.db.WithContext(ctx).Table("events").Select("envelope").Where("session_id = ? AND event_id = ?", id, eventID).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, domain.ErrEventNotFound
	}
	return json.RawMessage(row.Envelope), failed(ctx, "read an event", err)
}

func (s *Store) watermarkGone(ctx context.Context, id string) error {
	var first pageRow
	err := s.db.WithContext(ctx).Table("events").Select("event_id").Where("session_id = ?", id).Order("seq").Limit(1).Take(&first).Error
	if err != nil {
		return failed(ctx, "find the beginning of a log", fmt.Errorf("session %s: %w", id, err))
	}
	return &ports.WatermarkGoneError{Earliest: first.EventID}
}

func names(types []events.Type) []string {
	list := make([]string, len(types))
	for i, t := range types {
		list[i] = string(t)
	}
	return list
}
