package postgres

import (
	"context"
	"time"

	"gorm.io/gorm"

	"github.com/callplane/callplane/contracts/events"
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

// noteAppended notes what the transaction adds to a log, with the times that the database has given to the entries.
func noteAppended(tx *gorm.DB, c change, loggedAt []time.Time) error {
	noted, ok := tx.Statement.Context.Value(collectorKey{}).(*[]ports.Appended)
	if !ok {
		return nil
	}
	added := ports.Appended{
		SessionID: c.after.ID, Users: ports.Concerned(c.before.Members, c.after.Members), Entries: make([]ports.Logged, len(c.entries)),
	}
	for i, entry := range c.entries {
		added.Entries[i] = ports.Logged{
			Seq: c.lastSeq + int64(i) + 1, EventID: entry.Event.EventID, Type: entry.Event.Type, LoggedAt: loggedAt[i].UTC(), JSON: entry.JSON,
		}
		if entry.Event.Type == events.CallMemberRemoved {
			removed, err := events.DecodePayload[events.CallMemberRemovedPayload](entry.Event)
			if err != nil {
				return err
			}
			added.Entries[i].Member = removed.UserID
		}
	}
	*noted = append(*noted, added)
	return nil
}
