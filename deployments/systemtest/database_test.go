//go:build integration

package systemtest

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/deployments/systemtest/replay"
	"github.com/callplane/callplane/deployments/systemtest/stack"
)

// receiptsOf counts the bridge's receipts of one webhook.
const receiptsOf = "SELECT count(*) FROM webhook_receipts WHERE webhook_id = $1"

// query reads rows of one text column from a database.
func query(t *testing.T, url, sql string, args ...any) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	rows, err := conn.Query(t.Context(), sql, args...)
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

// count reads one number from a database.
func count(t *testing.T, url, sql string, args ...any) int {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	var n int
	require.NoError(t, conn.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

// eventsMade lists the ids of the events that the bridge has made for a session, whether published or not. A webhook's answer comes after
// the commit, so nothing can be added later for webhooks that were answered.
func eventsMade(t *testing.T, s *stack.Stack, sessionID string) []string {
	t.Helper()
	return query(t, s.BridgeDB.AdminURL, "SELECT message_id::text FROM outbox WHERE partition_key = $1 ORDER BY id", sessionID)
}

// noTURNPasswordKept looks for the secret of recorded webhooks in every row of the database, as text and as the bytes of it.
func noTURNPasswordKept(t *testing.T, url string) {
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	rows, err := conn.Query(t.Context(), "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.NotEmpty(t, tables)
	for _, table := range tables {
		name := pgx.Identifier{table}.Sanitize()
		var found int
		require.NoError(t, conn.QueryRow(t.Context(),
			"SELECT count(*) FROM "+name+" AS r WHERE r::text LIKE '%' || $1 || '%' OR r::text LIKE '%' || encode($1::text::bytea, 'hex') || '%'",
			replay.TURNPassword).Scan(&found))
		require.Zero(t, found, "table %s holds a room's turnPassword", table)
	}
}
