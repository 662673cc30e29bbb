package httpapi

import (
	"context"
	"errors"

	"github.com/callplane/callplane/libs/httpserver"
	"github.com/callplane/callplane/libs/problem"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

func bodyProblem(err error) problem.Problem {
	if p, ok := httpserver.BodyProblem(err); ok {
		return p
	}
	return problem.InvalidRequest.WithDetail("The body could not be read.")
}

// readProblem returns the answer to a request that is no genuine webhook, and the reason for the count.
func readProblem(err error) (problem.Problem, string) {
	if errors.Is(err, ports.ErrUnauthentic) {
		return problem.Unauthenticated.WithDetail("The request is not signed with a key that is known here, or the signature is of another body."), "signature"
	}
	return problem.InvalidJSON.WithDetail("The body is not a webhook of LiveKit."), "malformed"
}

// handleProblem returns the answer to a webhook that could not be taken in. The provider sends it again.
func handleProblem(err error) problem.Problem {
	if errors.Is(err, ports.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return problem.Unavailable
	}
	return problem.Internal
}
