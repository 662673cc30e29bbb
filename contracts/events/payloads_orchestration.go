package events

import "encoding/json"

// Speaker is who spoke, as far as the transcriber knows.
type Speaker struct {
	UserID   *string `json:"userId"`
	Identity *string `json:"identity"`
	Label    *string `json:"label"` // of a voice that can be told apart but not named
}

// Transcript is one wording of one segment of speech.
type Transcript struct {
	SegmentID  string   `json:"segmentId"` // the same for the partials and the final of an utterance
	Sequence   int64    `json:"sequence"`  // the segment's place in the transcript, from 1
	Revision   int64    `json:"revision"`  // of the segment's wordings the highest holds
	Speaker    *Speaker `json:"speaker"`
	TrackSID   *string  `json:"trackSid"`
	Language   *string  `json:"language"` // BCP 47
	Text       string   `json:"text"`     // empty where nothing was said after all
	StartedAt  Instant  `json:"startedAt"`
	EndedAt    Instant  `json:"endedAt"`
	Confidence *float64 `json:"confidence"` // 0 to 1
}

// Action says which action an event speaks of.
type Action struct {
	ActionID string `json:"actionId"` // the same over all events of the action
	Kind     string `json:"kind"`
}

// ConfirmBy is who may confirm an action: one of the users, or any member of the role. One
// confirmation is enough; at least one of the fields is there.
type ConfirmBy struct {
	UserIDs []string `json:"userIds,omitempty"`
	Role    *Role    `json:"role,omitempty"`
}

// Failure says why an action was not done: a code to decide on, a message to read, and whether
// trying again can help.
type Failure struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	Retryable bool   `json:"retryable"`
}

// Policy is the rule that a safety decision rests on.
type Policy struct {
	ID      string  `json:"id"`
	Version *string `json:"version"`
}

// Subject is what a safety decision is about.
type Subject struct {
	Type SubjectType `json:"type"`
	ID   string      `json:"id"`
}

// SafetyDecision is what both outcomes of a safety decision say.
type SafetyDecision struct {
	DecisionID string  `json:"decisionId"`
	Policy     Policy  `json:"policy"`
	Subject    Subject `json:"subject"`
	Code       string  `json:"code"`
	Message    string  `json:"message"`
}

// TranscriptPartialPayload is the payload of transcript.partial: it may still change.
type TranscriptPartialPayload struct {
	Transcript
}

// TranscriptFinalPayload is the payload of transcript.final.
type TranscriptFinalPayload struct {
	Transcript
}

// OrchestrationActionRequestedPayload is the payload of orchestration.action.requested.
type OrchestrationActionRequestedPayload struct {
	Action
	Arguments   json.RawMessage `json:"arguments"` // an object
	RequestedBy Actor           `json:"requestedBy"`
	CausedBy    *string         `json:"causedBy"` // an eventId
	ExpiresAt   *Instant        `json:"expiresAt"`
}

// ActionProposedPayload is the payload of action.proposed.
type ActionProposedPayload struct {
	Action
	Summary     string          `json:"summary"`
	Arguments   json.RawMessage `json:"arguments"` // an object
	Risk        Risk            `json:"risk"`
	RequestedBy *Actor          `json:"requestedBy"` // null where it was the orchestrator's own idea
	CausedBy    *string         `json:"causedBy"`    // an eventId
	ExpiresAt   *Instant        `json:"expiresAt"`
}

// ActionRequiresConfirmationPayload is the payload of action.requires_confirmation: all that one needs
// to know who is to agree.
type ActionRequiresConfirmationPayload struct {
	Action
	Summary     string          `json:"summary"`
	Arguments   json.RawMessage `json:"arguments"` // an object
	Risk        Risk            `json:"risk"`
	RequestedBy *Actor          `json:"requestedBy"`
	ConfirmBy   ConfirmBy       `json:"confirmBy"`
	CausedBy    *string         `json:"causedBy"`  // an eventId
	ExpiresAt   Instant         `json:"expiresAt"` // not confirmed until then counts as declined
}

// ActionExecutedPayload is the payload of action.executed.
type ActionExecutedPayload struct {
	Action
	Summary     string          `json:"summary"`
	Result      json.RawMessage `json:"result"` // an object
	ConfirmedBy *string         `json:"confirmedBy"`
	CausedBy    *string         `json:"causedBy"` // an eventId
}

// ActionFailedPayload is the payload of action.failed.
type ActionFailedPayload struct {
	Action
	Error      Failure `json:"error"`
	DeclinedBy *string `json:"declinedBy"`
	CausedBy   *string `json:"causedBy"` // an eventId
}

// SafetyBlockedPayload is the payload of safety.blocked.
type SafetyBlockedPayload struct {
	SafetyDecision
	Severity  Severity `json:"severity"`
	CausedBy  *string  `json:"causedBy"`  // an eventId
	ExpiresAt *Instant `json:"expiresAt"` // null: until it is approved
}

// SafetyApprovedPayload is the payload of safety.approved.
type SafetyApprovedPayload struct {
	SafetyDecision
	ApprovedBy *Actor   `json:"approvedBy"` // null where the policy decided by itself
	Supersedes *string  `json:"supersedes"` // the decisionId of the block that it lifts
	CausedBy   *string  `json:"causedBy"`   // an eventId
	ExpiresAt  *Instant `json:"expiresAt"`  // null: for good
}

// EventType returns TranscriptPartial.
func (TranscriptPartialPayload) EventType() Type { return TranscriptPartial }

// EventType returns TranscriptFinal.
func (TranscriptFinalPayload) EventType() Type { return TranscriptFinal }

// EventType returns OrchestrationActionRequested.
func (OrchestrationActionRequestedPayload) EventType() Type { return OrchestrationActionRequested }

// EventType returns ActionProposed.
func (ActionProposedPayload) EventType() Type { return ActionProposed }

// EventType returns ActionRequiresConfirmation.
func (ActionRequiresConfirmationPayload) EventType() Type { return ActionRequiresConfirmation }

// EventType returns ActionExecuted.
func (ActionExecutedPayload) EventType() Type { return ActionExecuted }

// EventType returns ActionFailed.
func (ActionFailedPayload) EventType() Type { return ActionFailed }

// EventType returns SafetyBlocked.
func (SafetyBlockedPayload) EventType() Type { return SafetyBlocked }

// EventType returns SafetyApproved.
func (SafetyApprovedPayload) EventType() Type { return SafetyApproved }
