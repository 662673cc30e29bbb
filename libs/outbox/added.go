package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/callplane/callplane/libs/postgres"
)

// Added is what a transaction has added to the outbox, for Relay.Hand after the commit.
type Added struct {
	lane    int16
	rows    []unpublished
	earlier []int64 // the rows of their key that were not marked as published when they were added; nil where that is not known
	begun   time.Time
}

// addSQL is InsertSQL, and tells the ids and which unpublished rows of the key are before them. Where a lane has many unpublished rows it gives
// NULL and does not look through all of them. The insertion sees none of its own rows.
const addSQL = InsertSQL + `
RETURNING id, created_at, (
	SELECT CASE WHEN count(*) < 32 THEN coalesce(array_agg(earlier.id) FILTER (WHERE earlier.partition_key = CAST(@key AS text)), '{}') END
	  FROM (SELECT e.id, e.partition_key FROM outbox e
	         WHERE e.lane = CAST(@lane AS smallint) AND e.published_at IS NULL ORDER BY e.id LIMIT 32) earlier)`

// Add queues the insertion of rows of one partition key, in the order given. What the key stands for is locked by something that is queued
// or sent before. The W3C trace context of ctx goes with the rows, unless their headers have one; where it has none, as in what a timer does,
// they begin a trace. What it returns is for after the commit: Relay.Hand publishes it without waiting for the next poll. It is nil where there
// are no rows.
func Add(ctx context.Context, p *postgres.Pipeline, rows ...Row) (*Added, error) {
	if len(rows) == 0 {
		return nil, nil //nolint:nilnil // Nothing is added.
	}
	key := rows[0].PartitionKey
	added := &Added{lane: Lane(key), rows: make([]unpublished, len(rows)), begun: time.Now()}
	args := pgx.NamedArgs{"key": key, "lane": added.lane}
	headers, err := arguments(ctx, args, rows)
	if err != nil {
		return nil, err
	}
	for i, r := range rows {
		if r.PartitionKey != key {
			return nil, errors.New("insert into the outbox: rows of more than one partition key")
		}
		added.rows[i] = unpublished{
			PartitionKey: key, Exchange: r.Exchange, RoutingKey: r.RoutingKey, MessageID: r.MessageID, Headers: headers[i], Body: r.Body,
		}
	}
	p.Queue(addSQL, args).Query(func(result pgx.Rows) error {
		for i := 0; result.Next(); i++ {
			if err := result.Scan(&added.rows[i].ID, &added.rows[i].CreatedAt, &added.earlier); err != nil {
				return fmt.Errorf("insert into the outbox: %w", err)
			}
		}
		return result.Err()
	})
	return added, nil
}
