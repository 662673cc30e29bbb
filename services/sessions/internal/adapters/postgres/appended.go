package postgres

import (
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// Follow has what each commit adds to a log given to added, which must not wait. To be called before the store is used.
func (s *Store) Follow(added func(ports.Appended)) { s.added = added }

// noteAppended notes what the transaction adds to a log, with the times that the database has given to the entries.
func (tx *transaction) noteAppended(c change, loggedAt []time.Time) error {
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
	tx.appended = append(tx.appended, added)
	return nil
}
