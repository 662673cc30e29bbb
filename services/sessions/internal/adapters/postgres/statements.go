package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// visible is the one condition under which a session exists for a viewer.
const visible = `s.id = @id AND (@all OR EXISTS (SELECT 1 FROM members v WHERE v.session_id = s.id AND v.user_id = @viewer))`

// The statements that lock a session for who sees all, and for one user. They read nothing else: what they waited for is seen only by the
// statements after them. They are visible's two halves on their own, because the server plans the whole of it anew each time.
const (
	lockAnyStatement   = `SELECT 1 FROM sessions s WHERE s.id = @id FOR UPDATE`
	lockOfOneStatement = `SELECT 1 FROM sessions s
 WHERE s.id = @id AND EXISTS (SELECT 1 FROM members v WHERE v.session_id = s.id AND v.user_id = @viewer) FOR UPDATE OF s`
)

// wholeColumns are a session with all that belongs to it, each part by its primary key; into reads them in this order.
const wholeColumns = `s.id, s.owner_id, s.status, s.title, s.kind, s.provider, s.provider_room_id, s.provider_participant_id,
       s.provider_call_id, s.metadata, s.version, s.created_at, s.updated_at, s.started_at, s.ended_at, s.end_reason, s.error_code,
       s.error_message, s.disconnected, s.last_seq, s.last_event_id,
       (SELECT coalesce(json_agg(json_build_object('user_id', m.user_id, 'role', m.role) ORDER BY m.user_id), '[]')
          FROM members m WHERE m.session_id = s.id) AS members,
       (SELECT coalesce(json_agg(json_build_object('identity', p.identity, 'user_id', p.user_id, 'presence', p.presence,
                                                   'joined_at', p.joined_at, 'open_tracks', p.open_tracks) ORDER BY p.identity), '[]')
          FROM participants p WHERE p.session_id = s.id) AS participants`

// readStatement reads a whole session, of one moment.
const readStatement = `
SELECT ` + wholeColumns + `,
       (SELECT e.digest FROM events e WHERE e.session_id = s.id AND e.event_id = @event) AS logged_digest
  FROM sessions s
 WHERE ` + visible

func arguments(viewer ports.Viewer, id, eventID string) map[string]any {
	args := map[string]any{"id": id, "all": viewer.All, "viewer": viewer.UserID, "event": nil}
	if eventID != "" {
		args["event"] = eventID
	}
	return args
}

// readWhole returns a session, or gorm.ErrRecordNotFound.
func readWhole(db *gorm.DB, viewer ports.Viewer, id string) (wholeRow, error) {
	var row wholeRow
	err := db.Raw(readStatement, arguments(viewer, id, "")).Take(&row).Error
	return row, err
}

// lockWhole locks and then returns a session, with the digest that its log holds under eventID; or gorm.ErrRecordNotFound, also where the session
// or the viewer's membership was committed only between the two: it is read then, and not locked.
func lockWhole(ctx context.Context, tx *transaction, viewer ports.Viewer, id, eventID string) (wholeRow, error) {
	args := pgx.NamedArgs(arguments(viewer, id, eventID))
	var row wholeRow
	locked, found := false, false
	statement := lockOfOneStatement
	if viewer.All {
		statement = lockAnyStatement
	}
	tx.Queue(statement, args).Query(func(rows pgx.Rows) error {
		locked = rows.Next()
		return rows.Err()
	})
	tx.Queue(readStatement, args).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := rows.Scan(row.into()...); err != nil {
				return err
			}
			found = locked
		}
		return rows.Err()
	})
	if err := tx.Flush(ctx); err != nil {
		return wholeRow{}, err
	}
	if !found {
		return wholeRow{}, gorm.ErrRecordNotFound
	}
	return row, nil
}

// lockSession is lockWhole for an event: the session is nil where there is none.
func lockSession(ctx context.Context, tx *transaction, event events.Accepted) (*domain.Session, wholeRow, error) {
	row, err := lockWhole(ctx, tx, ports.System(), event.SessionID, event.EventID)
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return nil, wholeRow{}, nil
	}
	if err != nil {
		return nil, wholeRow{}, err
	}
	session, err := row.session()
	return session, row, err
}

func (w wholeRow) logged() *domain.Digest {
	if len(w.LoggedDigest) != len(domain.Digest{}) {
		return nil
	}
	digest := domain.Digest(w.LoggedDigest)
	return &digest
}

// save writes what changed of a locked session whose log was found to end there, and what its log gets.
func (s *Store) save(ctx context.Context, tx *transaction, found place, before, after domain.Snapshot, entries []ports.Entry) error {
	c := change{before: before, after: after, lastSeq: found.seq, entries: entries}
	if err := s.write(ctx, tx, saveStatement, c); err != nil {
		return err
	}
	tx.left = append(tx.left, leftSession{found: found, end: c.end(), state: c.after})
	if err := c.endMemberships(tx.DB()); err != nil {
		return err
	}
	if c.ends() {
		return tx.DB().Exec("UPDATE members SET session_open = false WHERE session_id = ?", c.after.ID).Error
	}
	return nil
}

// insertQuarantined sets an event aside, once.
func insertQuarantined(tx *gorm.DB, q ports.Quarantined) error {
	row := newQuarantineRow(q)
	return tx.Clauses(clause.OnConflict{OnConstraint: "quarantine_once", DoNothing: true}).Create(&row).Error
}
