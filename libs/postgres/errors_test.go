package postgres //nolint:testpackage // versionNumber is an inner rule worth a table.

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVersionNumber(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]int{"17": 170000, "17.4": 170004, "18.11": 180011} {
		got, err := versionNumber(version)
		require.NoError(t, err)
		assert.Equal(t, want, got, version)
	}
	for _, version := range []string{"", "seventeen", "17.x"} {
		_, err := versionNumber(version)
		require.Error(t, err, version)
	}
}

func TestTransientStates(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]bool{
		"40001": true, "40P01": true, "55P03": true, "25P04": true, "57014": true, "57P01": true, "57P03": true, "08006": true, "53300": true,
		"23505": false, "23514": false, "42P01": false, "42501": false, "28P01": false, "3D000": false,
	} {
		assert.Equal(t, want, IsTransient(fmt.Errorf("work: %w", &pgconn.PgError{Code: state})), state)
	}
	assert.True(t, IsTransient(fmt.Errorf("read: %w", io.ErrUnexpectedEOF)))
	assert.False(t, IsTransient(fmt.Errorf("read: %w", context.DeadlineExceeded)))
	assert.False(t, IsTransient(nil))
}

func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	assert.True(t, IsStatementTimeout(fmt.Errorf("work: %w", &pgconn.PgError{Code: "57014"})))
	assert.False(t, IsStatementTimeout(&pgconn.PgError{Code: "55P03"}))
	assert.False(t, IsStatementTimeout(io.EOF))
	assert.False(t, IsStatementTimeout(nil))
}
