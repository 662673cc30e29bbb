//go:build integration

package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// Query is a statement of the store's with its arguments, as pgx sends it.
type Query struct {
	SQL  string
	Args []any
}

// GetQuery returns what Store.Get sends.
func GetQuery(t testing.TB, viewer ports.Viewer, id string) Query {
	t.Helper()
	return numbered(t, readStatement, arguments(viewer, id, ""))
}

// ListQuery returns what Store.List sends.
func ListQuery(t testing.TB, request ports.ListRequest) Query {
	t.Helper()
	statement, args := listStatement(request)
	return numbered(t, statement, args)
}

func numbered(t testing.TB, statement string, args map[string]any) Query {
	t.Helper()
	sql, list, err := pgx.NamedArgs(args).RewriteQuery(t.Context(), nil, statement, nil)
	require.NoError(t, err)
	return Query{SQL: sql, Args: list}
}
