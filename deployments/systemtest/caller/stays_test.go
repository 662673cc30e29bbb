package caller

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStaysEndWithSilence(t *testing.T) {
	began := time.Now()
	at := func(n int) time.Time { return began.Add(time.Duration(n) * beat) }
	var s stays
	for _, one := range []struct {
		sid string
		at  int
	}{{"a", 0}, {"a", 1}, {"a", 4}, {"a", 8}, {"b", 9}, {"b", 10}} {
		s.note(one.sid, at(one.at))
	}
	require.Equal(t, []Stay{
		{SID: "a", From: at(0), To: at(4)}, {SID: "a", From: at(8), To: at(8)}, {SID: "b", From: at(9), To: at(10)},
	}, s.all())
}
