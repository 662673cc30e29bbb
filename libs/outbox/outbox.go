package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	_ "embed" // the schema

	"github.com/cespare/xxhash/v2"
	"github.com/google/uuid"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/callplane/callplane/libs/postgres"
	"github.com/callplane/callplane/libs/rabbitmq"
)

// Schema is the SQL that creates the tables. A service has it, word for word, in its first migration. The role that relays needs SELECT,
// INSERT, UPDATE and DELETE on all three tables.
//
//go:embed schema.sql
var Schema string

// Lanes is the number of lanes; the tables' constraints know it too.
const Lanes = 4

// Row is a message to be published.
type Row struct {
	// PartitionKey is what order is kept for. The caller has locked what it stands for.
	PartitionKey string
	Exchange     string
	RoutingKey   string
	MessageID    string // a UUID, by which receivers tell repetitions
	Headers      map[string]string
	Body         []byte
}

// Lane returns the lane of a partition key, from 0 to Lanes-1.
func Lane(partitionKey string) int16 {
	return int16(xxhash.Sum64String(partitionKey) % Lanes)
}

// InsertSQL adds rows to the outbox, as a statement or as a part of one (in a WITH clause), in the order given. Its named arguments are those of
// Arguments.
const InsertSQL = `INSERT INTO outbox (lane, partition_key, exchange, routing_key, message_id, headers, body)
	SELECT o.lane, o.partition_key, o.exchange, o.routing_key, CAST(o.message_id AS uuid), CAST(o.headers AS jsonb), o.body
	  FROM unnest(CAST(@outbox_lanes AS smallint[]), CAST(@outbox_keys AS text[]), CAST(@outbox_exchanges AS text[]),
	              CAST(@outbox_routing_keys AS text[]), CAST(@outbox_message_ids AS text[]), CAST(@outbox_headers AS text[]),
	              CAST(@outbox_bodies AS bytea[]))
	       WITH ORDINALITY AS o (lane, partition_key, exchange, routing_key, message_id, headers, body, n)
	 ORDER BY o.n`

// Arguments puts the named arguments of InsertSQL into args. The W3C trace context of ctx goes with the rows, unless their headers have one;
// where it has none they begin a trace.
func Arguments(ctx context.Context, args map[string]any, rows ...Row) error {
	_, err := arguments(ctx, args, rows)
	return err
}

// arguments also returns the headers of each row, as they are stored.
func arguments(ctx context.Context, args map[string]any, rows []Row) (headers []string, err error) {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		var span trace.Span
		ctx, span = otel.Tracer("github.com/callplane/callplane/libs/outbox").Start(ctx, "insert into the outbox")
		defer span.End()
	}
	lanes := make([]int16, len(rows))
	texts := make([][]string, len(textArguments))
	for i := range texts {
		texts[i] = make([]string, len(rows))
	}
	headers, bodies := make([]string, len(rows)), make([][]byte, len(rows))
	for i, r := range rows {
		if headers[i], err = r.headers(ctx); err != nil {
			return nil, fmt.Errorf("insert into the outbox: row %d of %d: %w", i+1, len(rows), err)
		}
		lanes[i], bodies[i] = Lane(r.PartitionKey), r.Body
		for t, text := range []string{r.PartitionKey, r.Exchange, r.RoutingKey, r.MessageID, headers[i]} {
			texts[t][i] = text
		}
	}
	args["outbox_lanes"], args["outbox_bodies"] = postgres.Array(lanes), postgres.Array(bodies)
	for i, name := range textArguments {
		args[name] = postgres.Array(texts[i])
	}
	return headers, nil
}

var textArguments = [...]string{"outbox_keys", "outbox_exchanges", "outbox_routing_keys", "outbox_message_ids", "outbox_headers"}

// headers returns the row's headers as they are stored, or what is wrong with the row.
func (r Row) headers(ctx context.Context) (string, error) {
	switch {
	case r.PartitionKey == "":
		return "", errors.New("it has no partition key")
	case r.Exchange == "" || r.RoutingKey == "":
		return "", errors.New("it has no exchange or routing key")
	case r.Body == nil:
		return "", errors.New("it has no body")
	}
	if err := uuid.Validate(r.MessageID); err != nil {
		return "", fmt.Errorf("its message id is not a UUID: %w", err)
	}
	headers := make(map[string]string, len(r.Headers)+2)
	maps.Copy(headers, r.Headers)
	rabbitmq.InjectTrace(ctx, headers)
	encoded, err := json.Marshal(headers)
	if err != nil {
		return "", fmt.Errorf("encode its headers: %w", err)
	}
	return string(encoded), nil
}
