package livekit

import (
	"encoding/json"

	lkproto "github.com/livekit/protocol/livekit"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// toListed translates the participants of a room. An identity stays as it is, whether or not it can
// be used: each of them is a connection.
func toListed(infos []*lkproto.ParticipantInfo) []domain.Listed {
	people := make([]domain.Listed, 0, len(infos))
	for _, info := range infos {
		if !hasLeft(info) {
			people = append(people, listed(info))
		}
	}
	return people
}

// hasLeft says whether the connection has ended.
func hasLeft(info *lkproto.ParticipantInfo) bool {
	return info.GetState() == lkproto.ParticipantInfo_DISCONNECTED
}

// listed translates a participant that is in a room or on the way into it.
func listed(info *lkproto.ParticipantInfo) domain.Listed {
	p := domain.Listed{Connection: connection(info), Kind: kindOf(info), State: domain.Connecting, Role: roleOf(info)}
	if info.GetState() == lkproto.ParticipantInfo_ACTIVE {
		p.State = domain.Active
	}
	for _, t := range info.GetTracks() {
		p.Tracks = append(p.Tracks, track(t))
	}
	return p
}

// kindOf returns what a participant is: by the kind in the token and, for a client, by the rights.
func kindOf(info *lkproto.ParticipantInfo) domain.Kind {
	switch info.GetKind() {
	case lkproto.ParticipantInfo_SIP:
		return domain.Phone
	case lkproto.ParticipantInfo_EGRESS, lkproto.ParticipantInfo_INGRESS:
		return domain.Recorder
	case lkproto.ParticipantInfo_AGENT:
		return domain.Agent
	case lkproto.ParticipantInfo_STANDARD:
		return kindOfClient(info.GetPermission())
	default:
		return domain.Standard
	}
}

func kindOfClient(has *lkproto.ParticipantPermission) domain.Kind {
	switch {
	case has.GetHidden(), has.GetRecorder(): //nolint:staticcheck // Deprecated for the kind, and tokens still set it.
		return domain.Recorder
	case has.GetAgent(): //nolint:staticcheck // As above.
		return domain.Agent
	default:
		return domain.Standard
	}
}

// roleOf returns the role that the metadata of a participant names, where the rights are those of
// it: both are what our tokens and SetRole set.
func roleOf(info *lkproto.ParticipantInfo) events.Role {
	has := info.GetPermission()
	if has == nil {
		return ""
	}
	var said metadata
	if err := json.Unmarshal([]byte(info.GetMetadata()), &said); err != nil || said.Role == "" {
		return domain.OtherRole
	}
	due := grant("", said.Role).ToPermission()
	if has.GetCanPublish() != due.GetCanPublish() || has.GetCanPublishData() != due.GetCanPublishData() ||
		has.GetCanSubscribe() != due.GetCanSubscribe() {
		return domain.OtherRole
	}
	return said.Role
}
