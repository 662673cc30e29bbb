package app

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func sealer() cursors {
	return cursors{secret: []byte(strings.Repeat("s", 32)), kind: listCursor, holder: "alice", filter: "active"}
}

func TestACursorIsForOneUse(t *testing.T) {
	sealed := sealer().seal([]byte("content"))
	content, err := sealer().open(sealed)
	require.NoError(t, err)
	require.Equal(t, "content", string(content))
	for name, change := range map[string]func(*cursors){
		"another secret":     func(c *cursors) { c.secret = []byte(strings.Repeat("t", 32)) },
		"another kind":       func(c *cursors) { c.kind = eventsCursor },
		"another user":       func(c *cursors) { c.holder = "bob" },
		"another filter":     func(c *cursors) { c.filter = "ended" },
		"parted differently": func(c *cursors) { c.holder, c.filter = "alicea", "ctive" },
	} {
		other := sealer()
		change(&other)
		_, err := other.open(sealed)
		require.ErrorIs(t, err, ErrInvalidCursor, name)
	}
}

func TestAChangedCursorIsRefused(t *testing.T) {
	sealed := sealer().seal([]byte("content"))
	for i := range sealed {
		for _, c := range []string{"A", "B", "_", "=", "\n", ""} {
			changed := sealed[:i] + c + sealed[i+1:]
			if changed == sealed {
				continue
			}
			_, err := sealer().open(changed)
			require.ErrorIs(t, err, ErrInvalidCursor, changed)
		}
	}
	for _, text := range []string{"", "x", sealed + "A", sealed + sealed, strings.Repeat("A", 1<<16)} {
		_, err := sealer().open(text)
		require.ErrorIs(t, err, ErrInvalidCursor)
	}
}

func FuzzCursor(f *testing.F) {
	f.Add(sealer().seal([]byte("content")), []byte("content"))
	f.Add("", []byte{})
	f.Add("!", []byte("\x00"))
	f.Fuzz(func(t *testing.T, cursor string, content []byte) {
		sealed := sealer().seal(content)
		if len(sealed) <= maxCursor {
			opened, err := sealer().open(sealed)
			require.NoError(t, err)
			require.Equal(t, string(content), string(opened))
		}
		if opened, err := sealer().open(cursor); err == nil {
			require.Equal(t, cursor, sealer().seal(opened), "only what was sealed opens")
		}
		_, _ = positionIn(sealer(), cursor)
	})
}
