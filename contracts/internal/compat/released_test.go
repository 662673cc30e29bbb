package compat_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/internal/compat"
)

// TestNothingReleasedIsBroken is the gate: what the schemas of the last release promised still holds, or has a new major version.
func TestNothingReleasedIsBroken(t *testing.T) {
	released, err := compat.Load(os.DirFS("../../events/released/v1"))
	require.NoError(t, err)
	require.Greater(t, len(released), 1, "the released schemas are missing")
	current, err := compat.Load(os.DirFS("../../events/schemas"))
	require.NoError(t, err)
	found, err := compat.Compare(released, current)
	require.NoError(t, err)
	for _, b := range found {
		assert.Fail(t, "this breaks the last release", "%s", b)
	}
}
