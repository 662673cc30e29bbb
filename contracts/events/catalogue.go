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

// The types of service principals in catalogue v1.
const (
	TranscriptPartial            Type = "transcript.partial"
	TranscriptFinal              Type = "transcript.final"
	OrchestrationActionRequested Type = "orchestration.action.requested"
	ActionProposed               Type = "action.proposed"
	ActionRequiresConfirmation   Type = "action.requires_confirmation"
	ActionExecuted               Type = "action.executed"
	ActionFailed                 Type = "action.failed"
	SafetyBlocked                Type = "safety.blocked"
	SafetyApproved               Type = "safety.approved"
	UsageTick                    Type = "usage.tick"
	UsageWarning                 Type = "usage.warning"
	UsageStopped                 Type = "usage.stopped"
	BillingUsageRecorded         Type = "billing.usage.recorded"
	BillingAdjustmentCreated     Type = "billing.adjustment.created"
)

// entry is what the catalogue knows of one type.
type entry struct {
	family  Family  // whose events these are
	version version // the contract that this build emits
	payload Payload // zero value of its Go type
}

var v1 = version{major: 1, minor: 0}

var catalogue = map[Type]entry{
	CallCreated:                 {FamilySessions, v1, CallCreatedPayload{}},
	CallUpdated:                 {FamilySessions, v1, CallUpdatedPayload{}},
	CallEnded:                   {FamilySessions, v1, CallEndedPayload{}},
	CallFailed:                  {FamilySessions, v1, CallFailedPayload{}},
	CallMemberAdded:             {FamilySessions, v1, CallMemberAddedPayload{}},
	CallMemberUpdated:           {FamilySessions, v1, CallMemberUpdatedPayload{}},
	CallMemberRemoved:           {FamilySessions, v1, CallMemberRemovedPayload{}},
	CallConnecting:              {FamilyProvider, v1, CallConnectingPayload{}},
	CallConnected:               {FamilyProvider, v1, CallConnectedPayload{}},
	CallReconnecting:            {FamilyProvider, v1, CallReconnectingPayload{}},
	CallReconnected:             {FamilyProvider, v1, CallReconnectedPayload{}},
	CallDisconnected:            {FamilyProvider, v1, CallDisconnectedPayload{}},
	CallParticipantJoined:       {FamilyProvider, v1, CallParticipantJoinedPayload{}},
	CallParticipantReconnecting: {FamilyProvider, v1, CallParticipantReconnectingPayload{}},
	CallParticipantReconnected:  {FamilyProvider, v1, CallParticipantReconnectedPayload{}},
	CallParticipantLeft:         {FamilyProvider, v1, CallParticipantLeftPayload{}},
	CallTrackPublished:          {FamilyProvider, v1, CallTrackPublishedPayload{}},
	CallTrackUnpublished:        {FamilyProvider, v1, CallTrackUnpublishedPayload{}},
	CallError:                   {FamilyProvider, v1, CallErrorPayload{}},

	TranscriptPartial:            {FamilyOrchestration, v1, TranscriptPartialPayload{}},
	TranscriptFinal:              {FamilyOrchestration, v1, TranscriptFinalPayload{}},
	OrchestrationActionRequested: {FamilyOrchestration, v1, OrchestrationActionRequestedPayload{}},
	ActionProposed:               {FamilyOrchestration, v1, ActionProposedPayload{}},
	ActionRequiresConfirmation:   {FamilyOrchestration, v1, ActionRequiresConfirmationPayload{}},
	ActionExecuted:               {FamilyOrchestration, v1, ActionExecutedPayload{}},
	ActionFailed:                 {FamilyOrchestration, v1, ActionFailedPayload{}},
	SafetyBlocked:                {FamilyOrchestration, v1, SafetyBlockedPayload{}},
	SafetyApproved:               {FamilyOrchestration, v1, SafetyApprovedPayload{}},
	UsageTick:                    {FamilyMetering, v1, UsageTickPayload{}},
	UsageWarning:                 {FamilyMetering, v1, UsageWarningPayload{}},
	UsageStopped:                 {FamilyMetering, v1, UsageStoppedPayload{}},
	BillingUsageRecorded:         {FamilyMetering, v1, BillingUsageRecordedPayload{}},
	BillingAdjustmentCreated:     {FamilyMetering, v1, BillingAdjustmentCreatedPayload{}},
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
