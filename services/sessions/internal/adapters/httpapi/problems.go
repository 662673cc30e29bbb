package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/libs/problem"
	"github.com/callplane/callplane/services/sessions/internal/app"
	"github.com/callplane/callplane/services/sessions/internal/app/live"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// The problems that are this API's own.
var (
	forbidden = problem.New(http.StatusForbidden, "forbidden", "Forbidden").
			WithDetail("Your role in the session, or your scopes, don't allow this.")
	sessionNotFound = problem.New(http.StatusNotFound, "session_not_found", "No such session").
			WithDetail("There is no such session, or you are not a member of it.")
	sessionFinal = problem.New(http.StatusConflict, "session_final", "The session is final").
			WithDetail("The session has ended or failed; only its metadata can still be changed.")
	preconditionFailed = problem.New(http.StatusPreconditionFailed, "precondition_failed", "The session was changed meanwhile").
				WithDetail("If-Match names another version than the session has. Read it again, and repeat the change if it still fits.")
	correlationMismatch = problem.New(http.StatusConflict, "provider_correlation_mismatch", "The provider correlation is already written").
				WithDetail("provider, providerRoomId, providerParticipantId and providerCallId can't be changed after the activation.")
	providerManaged = problem.New(http.StatusConflict, "provider_managed_transition", "The provider manages this transition").
			WithDetail("Only what the provider reports activates a session with this provider.")
	providerNotSupported = problem.New(http.StatusConflict, "provider_not_supported", "No tokens for this provider").
				WithDetail("Tokens are issued for sessions with provider livekit.")
	ownerImmutable = problem.New(http.StatusConflict, "owner_immutable", "The owner stays a host").
			WithDetail("The owner of a session can't be removed or given another role.")
	notAMember  = problem.NotFound.WithDetail("There is no such member in this session.")
	deviceLimit = problem.New(http.StatusConflict, "device_limit", "Too many devices").
			WithDetail("You are in the session with as many devices as are allowed. Use one of their ids, or leave with one.")
	invalidTransition   = problem.New(http.StatusConflict, "invalid_transition", "Invalid transition")
	watermarkGone       = problem.New(http.StatusGone, "watermark_gone", "The log does not hold this event")
	eventSetAside       = watermarkGone.WithDetail("The event made no valid change of the session and was set aside. Don't wait for it, go on with the next one.")
	providerUnavailable = problem.New(http.StatusServiceUnavailable, "provider_unavailable", "The media provider is unavailable").
				WithRetry().WithDetail("Nobody who issues tokens answered in time.")
	invalidCursor = problem.New(http.StatusBadRequest, "invalid_cursor", "The cursor is not valid").
			WithDetail("It was not given out to you for this request. Leave it out, to begin anew.")
	eventIDConflict = problem.New(http.StatusConflict, "event_id_conflict", "The event id is taken").
			WithDetail("The session's log holds another event with this id. Take a new id for each event, and repeat one only as it was.")
	eventNotFound  = problem.NotFound.WithDetail("The session's log holds no event with this id.")
	noCheckpoint   = problem.NotFound.WithDetail("You have kept no checkpoint for this consumer in this session.")
	tooManyStreams = problem.RateLimited.WithDetail("You have as many streams open as are allowed. Close one; one stream can show all of your sessions.")

	idempotencyInProgress = problem.New(http.StatusConflict, "idempotency_in_progress", "The first request is still in progress").
				WithRetry().WithDetail("A request with this Idempotency-Key is being worked on. Repeat yours, to get its answer.")
	idempotencyKeyReused = problem.New(http.StatusUnprocessableEntity, "idempotency_key_reused", "The key was used for another request").
				WithDetail("You have used this Idempotency-Key for a request with another path or body. Take a new key for each request.")
)

// table says what each error that a use case names is to a client.
var table = []struct {
	err     error
	problem problem.Problem
}{
	{domain.ErrNotFound, sessionNotFound},
	{domain.ErrForbidden, forbidden},
	{domain.ErrSessionFinal, sessionFinal},
	{domain.ErrPreconditionFailed, preconditionFailed},
	{domain.ErrCorrelationMismatch, correlationMismatch},
	{domain.ErrProviderManaged, providerManaged},
	{domain.ErrProviderNotSupported, providerNotSupported},
	{domain.ErrOwnerImmutable, ownerImmutable},
	{domain.ErrNotAMember, notAMember},
	{domain.ErrEventIDConflict, eventIDConflict},
	{domain.ErrEventNotFound, eventNotFound},
	{domain.ErrNoCheckpoint, noCheckpoint},
	{ports.ErrDeviceLimit, deviceLimit},
	{app.ErrInvalidCursor, invalidCursor},
	{live.ErrTooManyStreams, tooManyStreams},
	{live.ErrDraining, problem.Unavailable},
	{ports.ErrIdempotencyInProgress, idempotencyInProgress},
	{ports.ErrIdempotencyKeyReused, idempotencyKeyReused},
	{ports.ErrProviderUnavailable, providerUnavailable},
	{ports.ErrUnavailable, problem.Unavailable},
	{context.DeadlineExceeded, problem.Unavailable},
	{context.Canceled, problem.Unavailable},
	{ErrUnauthenticated, problem.Unauthenticated},
}

// retryAfter is the pause in seconds that a client is advised to make.
const retryAfter = "1"

// problemOf returns the problem of an error, the headers that go with it, and the cause where it is to be logged.
func problemOf(err error) (problem.Problem, map[string]string, error) {
	p, cause := lookUp(err)
	headers := map[string]string{}
	if p.Retryable {
		headers["Retry-After"] = retryAfter
	}
	switch p.Status {
	case http.StatusServiceUnavailable:
		cause = err
	case http.StatusUnauthorized:
		headers["WWW-Authenticate"] = challengeOf(err)
	case http.StatusTooManyRequests:
		headers["Retry-After"] = pauseOf(err)
	}
	return p, headers, cause
}

// challengeOf says how to authenticate (RFC 9110, section 11.6.1).
func challengeOf(err error) string {
	var unauthenticated *unauthenticatedError
	if errors.As(err, &unauthenticated) {
		return unauthenticated.challenge
	}
	return challenge
}

func lookUp(err error) (p problem.Problem, unknown error) {
	var asked problem.Problem
	var invalid *domain.InvalidError
	var report *events.InvalidReportError
	var transition *domain.InvalidTransitionError
	var gone *ports.WatermarkGoneError
	var unauthenticated *unauthenticatedError
	var limited *rateLimitedError
	switch {
	case errors.As(err, &asked):
		return asked, nil
	case errors.As(err, &invalid):
		return invalidProblem(invalid), nil
	case errors.As(err, &report):
		return reportProblem(report), nil
	case errors.As(err, &transition):
		return invalidTransition.WithDetail(fmt.Sprintf("A session can't go from %s to %s by this request.", transition.From, transition.To)), nil
	case errors.As(err, &gone):
		return watermarkGone.WithDetail("The log begins with earliestEventId. Read the session again, and go on from its lastEventId.").
			WithExtension("earliestEventId", gone.Earliest), nil
	case errors.As(err, &unauthenticated):
		return problem.Unauthenticated.WithDetail(unauthenticated.advice), nil
	case errors.As(err, &limited):
		return problem.RateLimited.WithDetail("You have sent more requests than are allowed in a second. Wait for as many seconds as Retry-After says."), nil
	}
	for _, row := range table {
		if errors.Is(err, row.err) {
			return row.problem, nil
		}
	}
	return problem.Internal, err
}

// reportProblem tells which rules of its type's schema an event breaks. A body has the same fields as the event.
func reportProblem(report *events.InvalidReportError) problem.Problem {
	faults := make([]problem.FieldError, len(report.Faults))
	for i, f := range report.Faults {
		faults[i] = problem.FieldError{Pointer: f.Pointer, Code: domain.FaultValue, Message: f.Rule}
	}
	return problem.InvalidRequest.WithErrors(faults...)
}

func invalidProblem(invalid *domain.InvalidError) problem.Problem {
	faults := make([]problem.FieldError, len(invalid.Faults))
	for i, f := range invalid.Faults {
		faults[i] = problem.FieldError{Pointer: f.Pointer, Code: f.Code, Message: f.Message}
	}
	return problem.InvalidRequest.WithErrors(faults...)
}
