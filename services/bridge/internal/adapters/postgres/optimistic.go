package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/callplane/callplane/libs/lastseen"
	"github.com/callplane/callplane/libs/outbox"
	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// cachedMappings is how many mappings a store keeps in its cache.
const cachedMappings = 1024

// versionCache holds mappings by the name of their room, as this store last committed them.
type versionCache = *lastseen.Memory[version, domain.State]

func newVersionCache() versionCache { return lastseen.New[version, domain.State](cachedMappings) }

// version tells the states of a mapping apart. It is the time in microseconds too and not the
// revision alone, since a database that was restored from a backup gives revisions again.
type version struct{ revision, at int64 }

// storedMapping is a mapping as it is stored.
type storedMapping struct {
	state   domain.State
	version version
}

// storedChange is a mapping after a transaction, the version in which the transaction found it, and
// what it has added to the outbox.
type storedChange struct {
	storedMapping
	found version
	added *outbox.Added
}

// committed passes on what a transaction has done.
func (s *Store) committed(done storedChange) {
	s.hand(done.added)
	s.cache.Left(done.state.RoomName, done.found, done.version, asStored(done.state))
}

// lockIfUnchangedStatement locks a mapping that has the version it was found in, and fails
// otherwise, so that nothing that is sent with it is done. The server's log shows the text that the
// cast can't read.
const lockIfUnchangedStatement = `SELECT CAST((SELECT CASE count(*) WHEN 1 THEN '1' ELSE 'the mapping has changed, it is read again' END
	FROM (SELECT FROM mappings WHERE room_name = $1 AND revision = $2 AND updated_at = $3 FOR UPDATE) found) AS integer)`

const invalidTextRepresentation = "22P02" // SQLSTATE, from the PostgreSQL manual's appendix A

// receiveIfUnchanged is Receive where the cache holds the mapping and it turns out to be unchanged
// since: in one round trip, and without reading it first. Otherwise it does nothing and returns no
// reception, as also for a webhook that was received before.
func (s *Store) receiveIfUnchanged(ctx context.Context, receipt ports.Receipt, decide ports.Decide) (ports.Reception, error) {
	found, state, known := s.cache.Recall(receipt.RoomName)
	if decide == nil || !known {
		return "", nil
	}
	wanted, err := decide(domain.Restore(state))
	if err != nil {
		return "", nil //nolint:nilerr // It is decided again, on the mapping as it is.
	}
	var done storedChange
	err = s.transaction(ctx, func(p *postgres.Pipeline) error {
		p.Queue(insertNewReceiptStatement, receipt.ID, receipt.Kind, receipt.RoomName, receipt.ReceivedAt)
		p.Queue(lockIfUnchangedStatement, receipt.RoomName, found.revision, time.UnixMicro(found.at).UTC())
		var err error
		done, err = store(ctx, p, storedMapping{state: state, version: found}, wanted)
		return err
	})
	if err == nil {
		s.committed(done)
		return ports.Stored, nil
	}
	if postgres.IsUniqueViolation(err, "webhook_receipts_pkey") {
		return "", nil // The cached mapping may still be right.
	}
	s.cache.Forget(receipt.RoomName)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == invalidTextRepresentation {
		return "", nil
	}
	return "", err
}
