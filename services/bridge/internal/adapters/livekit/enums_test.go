package livekit

import (
	"strings"
	"testing"

	lkproto "github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
)

// The SDK's enumerations and ours are held together, so that a new SDK shows what is new.
func TestEveryEnumerationIsTranslated(t *testing.T) {
	for n, name := range lkproto.DisconnectReason_name {
		want := events.LeaveReason(strings.ToLower(name))
		if n == 0 {
			want = events.LeaveUnknown
		}
		require.Equal(t, want, leaveReasons[lkproto.DisconnectReason(n)], name)
	}
	for n, name := range lkproto.TrackType_name {
		require.EqualValues(t, strings.ToLower(name), trackKinds[lkproto.TrackType(n)], name)
	}
	for n, name := range lkproto.TrackSource_name {
		require.EqualValues(t, strings.ToLower(name), trackSources[lkproto.TrackSource(n)], name)
	}
}
