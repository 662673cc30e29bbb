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

// leftMappings is how many mappings a store remembers.
const leftMappings = 1024

// memory is of mappings by the name of their room.
type memory = *lastseen.Memory[version, domain.State]

func newMemory() memory { return lastseen.New[version, domain.State](leftMappings) }

// version tells the states of a mapping apart. It is the time in microseconds too and not the revision alone, since a database that was set
// back gives revisions again.
type version struct{ revision, at int64 }

// storedMapping is a mapping as it is stored.
type storedMapping struct {
	state   domain.State
	version version
}

// leftMapping is a mapping as a transaction leaves it, the version in which it found it, and what it has added to the outbox.
type leftMapping struct {
	storedMapping
	found version
	added *outbox.Added
}

// committed passes on what a transaction has done.
func (s *Store) committed(left leftMapping) {
	s.hand(left.added)
	s.left.Left(left.state.RoomName, left.found, left.version, asStored(left.state))
}

// lockFoundStatement locks a mapping that is as it was found, and fails otherwise, so that nothing of what is sent with it is done. The
// server's log shows what the cast cannot read.
const lockFoundStatement = `SELECT CAST((SELECT CASE count(*) WHEN 1 THEN '1' ELSE 'the mapping has changed, it is read again' END
	FROM (SELECT FROM mappings WHERE room_name = $1 AND revision = $2 AND updated_at = $3 FOR UPDATE) found) AS integer)`

const invalidTextRepresentation = "22P02" // SQLSTATE, from the PostgreSQL manual's appendix A

// receiveAsLeft is Receive where this store remembers the mapping and it turns out that nobody has changed it since: in one round trip, and
// without reading it first. Otherwise it does nothing and returns no reception, as also for a webhook that was received before.
func (s *Store) receiveAsLeft(ctx context.Context, receipt ports.Receipt, decide ports.Decide) (ports.Reception, error) {
	found, state, known := s.left.Recall(receipt.RoomName)
	if decide == nil || !known {
		return "", nil
	}
	wanted, err := decide(domain.Restore(state))
	if err != nil {
		return "", nil //nolint:nilerr // It is decided again, on the mapping as it is.
	}
	var left leftMapping
	err = s.transaction(ctx, func(p *postgres.Pipeline) error {
		p.Queue(insertNewReceiptStatement, receipt.ID, receipt.Kind, receipt.RoomName, receipt.ReceivedAt)
		p.Queue(lockFoundStatement, receipt.RoomName, found.revision, time.UnixMicro(found.at).UTC())
		var err error
		left, err = store(ctx, p, storedMapping{state: state, version: found}, wanted)
		return err
	})
	if err == nil {
		s.committed(left)
		return ports.Stored, nil
	}
	if postgres.IsUniqueViolation(err, "webhook_receipts_pkey") {
		return "", nil // What is remembered is none the worse for it.
	}
	s.left.Forget(receipt.RoomName)
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == invalidTextRepresentation {
		return "", nil
	}
	return "", err
}
