package httpapi

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLimitRemembersAsManyCallersAsFit(t *testing.T) {
	now := time.Now()
	limit, err := NewLimit(1, func() time.Time { return now })
	require.NoError(t, err)
	require.NoError(t, limit.take("first"))
	require.Error(t, limit.take("first"))
	for i := range 2 * limitedCallers {
		require.NoError(t, limit.take(strconv.Itoa(i)))
	}
	require.Equal(t, limitedCallers, limit.callers.Len())
	require.NoError(t, limit.take("first"), "forgotten, and so given a whole allowance")
}
