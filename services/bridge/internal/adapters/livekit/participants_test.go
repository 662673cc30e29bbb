package livekit_test

import (
	"strings"
	"testing"

	lkproto "github.com/livekit/protocol/livekit"
	"github.com/stretchr/testify/require"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// connected returns what a participant is listed as; nil where not at all.
func connected(t *testing.T, info *lkproto.ParticipantInfo) []domain.Listed {
	t.Helper()
	s, rooms := newStandIn(t, "call-x")
	s.change(func() { s.people["call-x"] = []*lkproto.ParticipantInfo{info} })
	there, err := rooms.Connections(t.Context(), "call-x")
	require.NoError(t, err)
	listed, err := rooms.List(t.Context(), []string{"call-x"})
	require.NoError(t, err)
	require.Equal(t, there, listed["call-x"].Listing.Participants, "both are one translation")
	return there
}

func TestKindsOfParticipants(t *testing.T) {
	type (
		info   = lkproto.ParticipantInfo
		rights = lkproto.ParticipantPermission
	)
	for name, tc := range map[string]struct {
		info *info
		want domain.Kind
	}{
		"a client":              {&info{Permission: &rights{CanPublish: true}}, domain.Standard},
		"a client of no rights": {&info{}, domain.Standard},
		"a hidden client":       {&info{Permission: &rights{Hidden: true}}, domain.Recorder},
		"a recording client":    {&info{Permission: &rights{Recorder: true}}, domain.Recorder}, //nolint:staticcheck // Tokens still set it.
		"a client as agent":     {&info{Permission: &rights{Agent: true}}, domain.Agent},       //nolint:staticcheck // As above.
		"an agent":              {&info{Kind: lkproto.ParticipantInfo_AGENT}, domain.Agent},
		"a hidden agent":        {&info{Kind: lkproto.ParticipantInfo_AGENT, Permission: &rights{Hidden: true}}, domain.Agent},
		"a recording":           {&info{Kind: lkproto.ParticipantInfo_EGRESS}, domain.Recorder},
		"an ingest":             {&info{Kind: lkproto.ParticipantInfo_INGRESS}, domain.Recorder},
		"a phone":               {&info{Kind: lkproto.ParticipantInfo_SIP}, domain.Phone},
		"a connector":           {&info{Kind: lkproto.ParticipantInfo_CONNECTOR}, domain.Standard},
		"a kind of the future":  {&info{Kind: 99, Permission: &rights{Hidden: true}}, domain.Standard},
	} {
		t.Run(name, func(t *testing.T) {
			there := connected(t, tc.info)
			require.Len(t, there, 1)
			require.Equal(t, tc.want, there[0].Kind)
		})
	}
}

func TestTheRoleIsWhatMetadataAndRightsAgreeOn(t *testing.T) {
	speaks := &lkproto.ParticipantPermission{CanPublish: true, CanPublishData: true, CanSubscribe: true}
	listens := &lkproto.ParticipantPermission{CanSubscribe: true}
	for name, tc := range map[string]struct {
		metadata   string
		permission *lkproto.ParticipantPermission
		want       events.Role
	}{
		"a host":                       {`{"userId":"a","role":"host"}`, speaks, events.RoleHost},
		"a participant":                {`{"userId":"a","role":"participant"}`, speaks, events.RoleParticipant},
		"a viewer":                     {`{"userId":"a","role":"viewer"}`, listens, events.RoleViewer},
		"a viewer who speaks":          {`{"userId":"a","role":"viewer"}`, speaks, domain.OtherRole},
		"a host who only listens":      {`{"userId":"a","role":"host"}`, listens, domain.OtherRole},
		"a host who is deaf":           {`{"role":"host"}`, &lkproto.ParticipantPermission{CanPublish: true, CanPublishData: true}, domain.OtherRole},
		"a host without data":          {`{"role":"host"}`, &lkproto.ParticipantPermission{CanPublish: true, CanSubscribe: true}, domain.OtherRole},
		"a role of the future":         {`{"userId":"a","role":"guest"}`, listens, "guest"},
		"one who names no role":        {`{"userId":"a"}`, listens, domain.OtherRole},
		"one without metadata":         {``, speaks, domain.OtherRole},
		"one with other metadata":      {`{"role":7}`, speaks, domain.OtherRole},
		"one whose rights are unknown": {`{"userId":"a","role":"host"}`, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			there := connected(t, &lkproto.ParticipantInfo{Identity: "a#default", Metadata: tc.metadata, Permission: tc.permission})
			require.Len(t, there, 1)
			require.Equal(t, tc.want, there[0].Role)
		})
	}
}

func TestEveryConnectionIsListedWhateverItIsCalled(t *testing.T) {
	for _, identity := range []string{"", "alice#default", "a\x00b", strings.Repeat("x", 100_000), "alice#default#ghost"} {
		there := connected(t, &lkproto.ParticipantInfo{Identity: identity, Sid: "PA_1", State: lkproto.ParticipantInfo_ACTIVE})
		require.Equal(t, []domain.Listed{{Connection: domain.Connection{Identity: identity, SID: "PA_1"}, State: domain.Active}}, there)
	}
	for state, want := range map[lkproto.ParticipantInfo_State]domain.ListedState{
		lkproto.ParticipantInfo_JOINING: domain.Connecting, lkproto.ParticipantInfo_JOINED: domain.Connecting,
		lkproto.ParticipantInfo_ACTIVE: domain.Active, 99: domain.Connecting,
	} {
		there := connected(t, &lkproto.ParticipantInfo{Identity: "alice#default", State: state})
		require.Len(t, there, 1)
		require.Equal(t, want, there[0].State, state)
	}
	require.Empty(t, connected(t, &lkproto.ParticipantInfo{Identity: "alice#default", State: lkproto.ParticipantInfo_DISCONNECTED}))
}
