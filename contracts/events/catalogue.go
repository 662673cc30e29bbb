package events

import "slices"

// Type names what happened. It is the envelope's type and the routing key on the events exchange.
type Type string

// The call.* types of catalogue v1.
const (
	CallCreated                 Type = "call.created"
	CallUpdated                 Type = "call.updated"
	CallEnded                   Type = "call.ended"
	CallFailed                  Type = "call.failed"
	CallMemberAdded             Type = "call.member.added"
	CallMemberUpdated           Type = "call.member.updated"
	CallMemberRemoved           Type = "call.member.removed"
	CallConnecting              Type = "call.connecting"
	CallConnected               Type = "call.connected"
	CallReconnecting            Type = "call.reconnecting"
	CallReconnected             Type = "call.reconnected"
	CallDisconnected            Type = "call.disconnected"
	CallParticipantJoined       Type = "call.participant.joined"
	CallParticipantReconnecting Type = "call.participant.reconnecting"
	CallParticipantReconnected  Type = "call.participant.reconnected"
	CallParticipantLeft         Type = "call.participant.left"
	CallTrackPublished          Type = "call.track.published"
	CallTrackUnpublished        Type = "call.track.unpublished"
	CallError                   Type = "call.error"
)

// The broker users that produce events.
const (
	ProducerSessions = "sessions"
	ProducerBridge   = "bridge"
)

// entry is what the catalogue knows of one type.
type entry struct {
	producer string  // the broker user that may send it
	version  version // the contract that this build emits
	payload  Payload // zero value of its Go type
}

var v1 = version{major: 1, minor: 0}

var catalogue = map[Type]entry{
	CallCreated:                 {ProducerSessions, v1, CallCreatedPayload{}},
	CallUpdated:                 {ProducerSessions, v1, CallUpdatedPayload{}},
	CallEnded:                   {ProducerSessions, v1, CallEndedPayload{}},
	CallFailed:                  {ProducerSessions, v1, CallFailedPayload{}},
	CallMemberAdded:             {ProducerSessions, v1, CallMemberAddedPayload{}},
	CallMemberUpdated:           {ProducerSessions, v1, CallMemberUpdatedPayload{}},
	CallMemberRemoved:           {ProducerSessions, v1, CallMemberRemovedPayload{}},
	CallConnecting:              {ProducerBridge, v1, CallConnectingPayload{}},
	CallConnected:               {ProducerBridge, v1, CallConnectedPayload{}},
	CallReconnecting:            {ProducerBridge, v1, CallReconnectingPayload{}},
	CallReconnected:             {ProducerBridge, v1, CallReconnectedPayload{}},
	CallDisconnected:            {ProducerBridge, v1, CallDisconnectedPayload{}},
	CallParticipantJoined:       {ProducerBridge, v1, CallParticipantJoinedPayload{}},
	CallParticipantReconnecting: {ProducerBridge, v1, CallParticipantReconnectingPayload{}},
	CallParticipantReconnected:  {ProducerBridge, v1, CallParticipantReconnectedPayload{}},
	CallParticipantLeft:         {ProducerBridge, v1, CallParticipantLeftPayload{}},
	CallTrackPublished:          {ProducerBridge, v1, CallTrackPublishedPayload{}},
	CallTrackUnpublished:        {ProducerBridge, v1, CallTrackUnpublishedPayload{}},
	CallError:                   {ProducerBridge, v1, CallErrorPayload{}},
}

// Types returns every type of the catalogue, sorted.
func Types() []Type {
	types := make([]Type, 0, len(catalogue))
	for t := range catalogue {
		types = append(types, t)
	}
	slices.Sort(types)
	return types
}

// Producer returns the broker user that may send events of type t, or "" for a type that is not in
// the catalogue.
func Producer(t Type) string { return catalogue[t].producer }

// Known says whether t is in the catalogue of this build.
func (t Type) Known() bool {
	_, ok := catalogue[t]
	return ok
}

// Version returns the contract version ("major.minor") in which this build emits t, or "" for a type
// that is not in the catalogue.
func Version(t Type) string {
	e, ok := catalogue[t]
	if !ok {
		return ""
	}
	return e.version.String()
}
