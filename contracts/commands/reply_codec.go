package commands

import "github.com/callplane/callplane/contracts/events"

// replyWire is a reply as it travels, with the result as R.
type replyWire[R any] struct {
	CommandID string       `json:"commandId"`
	OK        bool         `json:"ok"`
	Result    *R           `json:"result,omitempty"`
	Refusal   *failureWire `json:"error,omitempty"`
}

// failureWire is a Failure that is data and no error.
type failureWire Failure

// newReplyWire bounds the failure's message to MaxMessage, and leaves the caller's as it was.
func newReplyWire[R any](commandID string, result *R, failure *Failure) replyWire[R] {
	wire := replyWire[R]{CommandID: commandID, OK: failure == nil, Result: result}
	if failure != nil {
		refusal := failureWire(*failure)
		refusal.Message = events.Bounded(refusal.Message, MaxMessage)
		wire.Refusal = &refusal
	}
	return wire
}
