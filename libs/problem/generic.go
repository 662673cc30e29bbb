package problem

import "net/http"

// The problems that any HTTP API has. A service adds its own beside its handlers.
var (
	Internal             = New(http.StatusInternalServerError, "internal", "Internal error").WithDetail("The request failed for a reason of the server's own. Report the requestId.")
	InvalidJSON          = New(http.StatusBadRequest, "invalid_json", "The body is not valid JSON")
	InvalidRequest       = New(http.StatusBadRequest, "invalid_request", "The request is not valid")
	MethodNotAllowed     = New(http.StatusMethodNotAllowed, "method_not_allowed", "Method not allowed")
	NotFound             = New(http.StatusNotFound, "not_found", "No such resource")
	PayloadTooLarge      = New(http.StatusRequestEntityTooLarge, "payload_too_large", "The body is too large")
	RateLimited          = New(http.StatusTooManyRequests, "rate_limited", "Too many requests").WithRetry()
	Timeout              = New(http.StatusServiceUnavailable, "unavailable", "The request took too long").WithRetry()
	Unauthenticated      = New(http.StatusUnauthorized, "unauthenticated", "Authentication is required")
	Unavailable          = New(http.StatusServiceUnavailable, "unavailable", "Temporarily unavailable").WithRetry()
	UnsupportedMediaType = New(http.StatusUnsupportedMediaType, "unsupported_media_type", "The media type of the body is not supported")
)
