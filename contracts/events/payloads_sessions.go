package events

import "encoding/json"

// Member is a user and their role in a session.
type Member struct {
	UserID string `json:"userId"`
	Role   Role   `json:"role"`
}

// ErrorInfo says what went wrong: a code to decide on, and a message to read.
type ErrorInfo struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// CallCreatedPayload is the payload of call.created: the session as it was made.
type CallCreatedPayload struct {
	OwnerID        string          `json:"ownerId"`
	Kind           Kind            `json:"kind"`
	Provider       string          `json:"provider"`
	Title          *string         `json:"title"`
	Metadata       json.RawMessage `json:"metadata"` // an object
	Members        []Member        `json:"members"`  // the owner is one of them, as host
	SessionVersion int64           `json:"sessionVersion"`
}

// CallUpdatedPayload is the payload of call.updated: what one change of the session set.
type CallUpdatedPayload struct {
	Changes        Changes `json:"changes"`
	SessionVersion int64   `json:"sessionVersion"`
}

// Changes holds the new value of each field that changed, and nothing of the others; at least one.
type Changes struct {
	Status                *Status          `json:"status,omitempty"`
	EndReason             *string          `json:"endReason,omitempty"`
	Title                 Optional[string] `json:"title,omitzero"`
	Metadata              json.RawMessage  `json:"metadata,omitempty"` // the whole object after the change
	Provider              *string          `json:"provider,omitempty"`
	ProviderRoomID        *string          `json:"providerRoomId,omitempty"`
	ProviderParticipantID *string          `json:"providerParticipantId,omitempty"`
	ProviderCallID        *string          `json:"providerCallId,omitempty"`
}

// CallEndedPayload is the payload of call.ended: the session is final, in good order.
type CallEndedPayload struct {
	Reason         string   `json:"reason"` // completed, cancelled, or as the caller gave it
	SessionVersion int64    `json:"sessionVersion"`
	StartedAt      *Instant `json:"startedAt"` // null where nobody ever connected
	EndedAt        Instant  `json:"endedAt"`
}

// CallFailedPayload is the payload of call.failed: the session is final, by an error.
type CallFailedPayload struct {
	Error          ErrorInfo `json:"error"`
	Reason         *string   `json:"reason"` // as the caller gave it
	SessionVersion int64     `json:"sessionVersion"`
	StartedAt      *Instant  `json:"startedAt"` // null where nobody ever connected
	EndedAt        Instant   `json:"endedAt"`
}

// CallMemberAddedPayload is the payload of call.member.added.
type CallMemberAddedPayload struct {
	UserID         string `json:"userId"`
	Role           Role   `json:"role"`
	SessionVersion int64  `json:"sessionVersion"`
}

// CallMemberUpdatedPayload is the payload of call.member.updated: the member's new role.
type CallMemberUpdatedPayload struct {
	UserID         string `json:"userId"`
	Role           Role   `json:"role"`
	SessionVersion int64  `json:"sessionVersion"`
}

// CallMemberRemovedPayload is the payload of call.member.removed.
type CallMemberRemovedPayload struct {
	UserID         string `json:"userId"`
	SessionVersion int64  `json:"sessionVersion"`
}

// EventType returns CallCreated.
func (CallCreatedPayload) EventType() Type { return CallCreated }

// EventType returns CallUpdated.
func (CallUpdatedPayload) EventType() Type { return CallUpdated }

// EventType returns CallEnded.
func (CallEndedPayload) EventType() Type { return CallEnded }

// EventType returns CallFailed.
func (CallFailedPayload) EventType() Type { return CallFailed }

// EventType returns CallMemberAdded.
func (CallMemberAddedPayload) EventType() Type { return CallMemberAdded }

// EventType returns CallMemberUpdated.
func (CallMemberUpdatedPayload) EventType() Type { return CallMemberUpdated }

// EventType returns CallMemberRemoved.
func (CallMemberRemovedPayload) EventType() Type { return CallMemberRemoved }
