package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/callplane/callplane/libs/postgres"
)

// What was published is marked after markDelay, together with what was published meanwhile, if nothing is to be published then, and otherwise
// after maxMarkDelay. Meanwhile a crash has it published again, as it has between publishing and marking in any case; no row is read in that time.
const (
	markDelay    = 5 * time.Millisecond
	maxMarkDelay = 25 * time.Millisecond
)

// markOptions: a mark that a crash of the server takes back only has a message repeated, so no commit waits for the disk. And the plan is the
// same for any number of rows, while the server would otherwise plan anew for each number.
const markOptions = `SELECT set_config('synchronous_commit', 'off', true), set_config('plan_cache_mode', 'force_generic_plan', true)`

const markStatement = `WITH lease AS (
		UPDATE outbox_lanes SET expires_at = clock_timestamp() + CAST($1 AS interval)
		WHERE lane = $2 AND holder = $3 AND fence = $4 RETURNING lane),
	marked AS (
		UPDATE outbox SET published_at = clock_timestamp()
		WHERE id = ANY (CAST($5 AS bigint[])) AND lane IN (SELECT lane FROM lease))
	SELECT count(*) FROM lease`

// markAll records what was published, if the lease is still this worker's, and prolongs it. It does so also where the time for publishing is
// over. Where it fails it is tried again before anything is read.
func (w *worker) markAll(ctx context.Context) error {
	ids := w.unmarked
	if len(ids) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), queryTimeout)
	defer cancel()
	var leases int64
	err := postgres.InPipeline(ctx, w.relay.opts.DB, func(p *postgres.Pipeline) error {
		p.Queue(markOptions)
		p.Queue(markStatement, w.relay.leases.interval(), w.lane, w.relay.opts.Holder, w.fence, ids).QueryRow(func(row pgx.Row) error {
			return row.Scan(&leases)
		})
		return nil
	})
	if err != nil {
		return fmt.Errorf("mark outbox rows published: %w", err)
	}
	if leases == 0 {
		return errLaneLost
	}
	w.marked, w.unmarked = ids, w.marked[:0]
	return nil
}

// markLast marks what the worker leaves behind.
func (w *worker) markLast() {
	if err := w.markAll(w.ctx); err != nil {
		w.relay.log.WarnContext(w.ctx, "what an outbox lane published last could not be marked, it is published again", "lane", w.lane, "error", err)
	}
}
