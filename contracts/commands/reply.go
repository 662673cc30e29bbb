package commands

import "fmt"

// Names returns the name of every command: the keys that bind a command queue.
func Names() []string { return []string{CallPresenceName, TokenIssueName} }

// Code says why a command was refused; callers decide on it.
type Code string

// The codes of refusal.
const (
	// SessionFinal: the session has ended or failed.
	SessionFinal Code = "session_final"
	// DeviceLimit: the member has as many devices in this session as are allowed.
	DeviceLimit Code = "device_limit"
	// StaleCommand: something newer is known of the session than the command was made from.
	StaleCommand Code = "stale_command"
	// InvalidCommand: the request breaks its schema or was sent by who may not send it.
	InvalidCommand Code = "invalid_command"
	// Unavailable: something that is needed is away; try again.
	Unavailable Code = "unavailable"
	// Internal: a fault of the service that was asked.
	Internal Code = "internal"
)

// Failure is the refusal of a command. It is an error, to be found with errors.As.
type Failure struct {
	Code      Code   `json:"code"`
	Message   string `json:"message"` // for people; at most MaxMessage characters
	Retryable bool   `json:"retryable"`
}

// MaxMessage bounds a failure's message, in Unicode code points.
const MaxMessage = 1024

func (f *Failure) Error() string { return fmt.Sprintf("command refused (%s): %s", f.Code, f.Message) }

// Reply answers a command: either Result or Failure is set.
type Reply[T any] struct {
	CommandID string
	Result    *T
	Failure   *Failure
}

// Succeed returns the reply to commandID that carries result.
func Succeed[T any](commandID string, result T) Reply[T] {
	return Reply[T]{CommandID: commandID, Result: &result}
}

// Refuse returns the reply to commandID that refuses it.
func Refuse[T any](commandID string, failure Failure) Reply[T] {
	return Reply[T]{CommandID: commandID, Failure: &failure}
}

// Value returns the result, or the *Failure.
func (r Reply[T]) Value() (T, error) {
	if r.Failure != nil || r.Result == nil {
		var none T
		if r.Failure == nil {
			return none, &Failure{Code: Internal, Message: "the reply holds neither a result nor a failure"}
		}
		return none, r.Failure
	}
	return *r.Result, nil
}
