package postgres

import (
	"context"

	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// Follow has what each commit adds to a log given to added, which must not wait. To be called before the store is used.
func (s *Store) Follow(added func(ports.Appended)) { s.added = added }

type collectorKey struct{}

// collecting returns a context under which a transaction notes what it adds to logs.
func collecting(ctx context.Context) (context.Context, *[]ports.Appended) {
	noted := new([]ports.Appended)
	return context.WithValue(ctx, collectorKey{}, noted), noted
}

// tell tells of what was committed.
func (s *Store) tell(appended []ports.Appended) {
	if s.added == nil {
		return
	}
	for _, a := range appended {
		s.added(a)
	}
}

// noteAppended notes what the transaction adds to a log. The rows are as the database has them.
func noteAppended(tx *gorm.DB, rows []eventRow, entries []ports.Entry, before []events.Member, after domain.Snapshot) error {
	noted, ok := tx.Statement.Context.Value(collectorKey{}).(*[]ports.Appended)
	if !ok {
		return nil
	}
	added := ports.Appended{SessionID: after.ID, Users: ports.Concerned(before, after.Members), Entries: make([]ports.Logged, len(rows))}
	for i, row := range rows {
		added.Entries[i] = ports.Logged{
			Seq: row.Seq, EventID: row.EventID, Type: entries[i].Event.Type, LoggedAt: row.LoggedAt.UTC(), JSON: entries[i].JSON,
		}
		if entries[i].Event.Type == events.CallMemberRemoved {
			removed, err := events.DecodePayload[events.CallMemberRemovedPayload](entries[i].Event)
			if err != nil {
				return err
			}
			added.Entries[i].Member = removed.UserID
		}
	}
	*noted = append(*noted, added)
	return nil
}
