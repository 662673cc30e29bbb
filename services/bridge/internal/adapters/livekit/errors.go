package livekit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/livekit/protocol/utils/xtwirp"
	"github.com/twitchtv/twirp"

	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// errRefusedNow matches both errors of the ports that a refusal is.
var errRefusedNow = fmt.Errorf("%w: %w", ports.ErrUnavailable, ports.ErrRefused)

// failure translates the error of a call to LiveKit's server API, with the action that was tried.
// It returns nil for nil. Errors: ports.ErrNotFound where LiveKit says that the room or the
// participant is not there; ports.ErrUnavailable for any other one, together with ports.ErrRefused
// where LiveKit refuses the key or the time of the request.
func failure(action string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w: %w", action, meaning(err), err)
}

// noAnswer is failure for calls to which "not found" is no answer.
func noAnswer(action string, err error) error {
	if translated := failure(action, err); !errors.Is(translated, ports.ErrNotFound) {
		return translated
	}
	return fmt.Errorf("%s: %w: %w", action, ports.ErrUnavailable, err)
}

// meaning returns the error of the ports that an error of LiveKit's server API is. LiveKit answers
// a key or a time that it refuses in plain text, which twirp takes for the answer of an
// intermediary, so those count as well. A page that an intermediary doesn't find is a bad route for
// twirp, and never "not found".
func meaning(err error) error {
	switch code, _ := reply(err); code {
	case twirp.NotFound:
		return ports.ErrNotFound
	case twirp.Unauthenticated, twirp.PermissionDenied:
		return errRefusedNow
	default:
		return ports.ErrUnavailable
	}
}

// reply returns the code and the message of an error of LiveKit's server API. The SDK turns those
// that carry details into errors of gRPC.
func reply(err error) (twirp.ErrorCode, string) {
	var answer twirp.Error
	if errors.As(err, &answer) {
		return answer.Code(), answer.Msg()
	}
	if status, is := xtwirp.StatusFromError(err); is {
		return xtwirp.ErrorCodeFromGRPC(status.Code()), status.Message()
	}
	return twirp.Unknown, ""
}

// noResponseText ends the message with which LiveKit says that no node answers for a room or a
// participant (ErrNoResponse of github.com/livekit/psrpc). With its own settings LiveKit asks three
// times for a second each before it says so.
const noResponseText = "no response from servers"

// nodeIsGoneText is the message with which LiveKit says that the node of a room is not registered
// any more (ErrNotFound of its package routing).
const nodeIsGoneText = "could not find object"

func nodeIsGone(err error) bool {
	_, message := reply(err)
	return message == nodeIsGoneText
}

// intermediary is the key that twirp puts into the meta data of an error that is not of its own
// protocol.
const intermediary = "http_error_from_intermediary"

// noResponse says whether LiveKit itself answers that no node of it does. A proxy that reaches no
// LiveKit says something else, or in another form.
func noResponse(err error) bool {
	var answer twirp.Error
	if errors.As(err, &answer) && answer.Meta(intermediary) != "" {
		return false
	}
	code, message := reply(err)
	return code == twirp.Unavailable && strings.HasSuffix(message, noResponseText)
}
