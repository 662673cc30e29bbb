package events_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
)

func TestNewIDIsVersion7AndGrows(t *testing.T) {
	previous := ""
	for range 1000 {
		id, err := events.NewID()
		require.NoError(t, err)
		parsed, err := uuid.Parse(id)
		require.NoError(t, err)
		require.EqualValues(t, 7, parsed.Version())
		require.Equal(t, parsed.String(), id)
		require.Greater(t, id, previous)
		previous = id
	}
}

// TestDerivedIDNeverChanges: ids that were derived once are in logs for ever. The expected values
// were computed by another implementation of RFC 9562.
func TestDerivedIDNeverChanges(t *testing.T) {
	assert.Equal(t, "190c1868-f1f4-5741-bd2c-6bffc3b3180a", events.DerivedID("call.connecting", "RM_bizP9SM3yJis"))
	assert.Equal(t, "85ae6ea8-1f8a-5609-bca6-496ddde5d612", events.DerivedID())
	assert.Equal(t, "0e8ac5ea-0b47-5ddd-9cb1-74631348312e", events.DerivedID("ü"))
}

func TestDerivedIDIsInjective(t *testing.T) {
	seen := map[string][]string{}
	for _, parts := range [][]string{
		{"ab"}, {"a", "b"}, {"", "ab"}, {"ab", ""}, {"b", "a"}, {"1:a"}, {"1", "a"}, {"a1:b"}, {"a", "1:b"}, {}, {""}, {"", ""},
	} {
		id := events.DerivedID(parts...)
		require.NotContains(t, seen, id, "%q and %q", parts, seen[id])
		require.EqualValues(t, 5, uuid.MustParse(id).Version())
		seen[id] = parts
	}
}
