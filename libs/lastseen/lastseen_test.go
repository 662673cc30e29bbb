package lastseen_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/libs/lastseen"
)

func requireUnknown(t *testing.T, m *lastseen.Memory[int, string], key string) {
	t.Helper()
	_, _, ok := m.Recall(key)
	require.False(t, ok)
}

func requireKnown(t *testing.T, m *lastseen.Memory[int, string], key string, version int, state string) {
	t.Helper()
	foundVersion, foundState, ok := m.Recall(key)
	require.True(t, ok)
	require.Equal(t, version, foundVersion)
	require.Equal(t, state, foundState)
}

func TestWhatNobodyElseChangesIsReliedOnFromTheSecondChangeOn(t *testing.T) {
	m := lastseen.New[int, string](10)
	requireUnknown(t, m, "a")
	m.Left("a", 1, 2, "two")
	requireUnknown(t, m, "a")
	m.Left("a", 2, 3, "three")
	requireKnown(t, m, "a", 3, "three")
	m.Left("a", 3, 4, "four")
	requireKnown(t, m, "a", 4, "four")
	requireUnknown(t, m, "b")
}

func TestWhatOthersChangeAsWellIsNotReliedOn(t *testing.T) {
	m := lastseen.New[int, string](10)
	m.Left("a", 1, 2, "two")
	m.Left("a", 2, 3, "three")
	m.Left("a", 4, 5, "five") // somebody else has made four
	requireUnknown(t, m, "a")
	m.Left("a", 6, 7, "seven")
	requireUnknown(t, m, "a")
	m.Left("a", 7, 8, "eight")
	requireKnown(t, m, "a", 8, "eight")
}

func TestWhatIsForgottenBeginsAnew(t *testing.T) {
	m := lastseen.New[int, string](10)
	m.Left("a", 1, 2, "two")
	m.Left("a", 2, 3, "three")
	m.Forget("a")
	requireUnknown(t, m, "a")
	m.Left("a", 3, 4, "four")
	requireUnknown(t, m, "a")
}

func TestOnlyTheLastRecordsAreHeld(t *testing.T) {
	m := lastseen.New[int, string](2)
	for _, key := range []string{"a", "b", "c"} {
		m.Left(key, 1, 2, "two")
		m.Left(key, 2, 3, "three")
	}
	requireUnknown(t, m, "a")
	requireKnown(t, m, "b", 3, "three")
	requireKnown(t, m, "c", 3, "three")
	require.Panics(t, func() { lastseen.New[int, string](0) })
}
