package ports

import "errors"

// Errors of what is outside.
var (
	// ErrUnavailable: a server that is needed is away or busy; the same may succeed later.
	ErrUnavailable = errors.New("unavailable")
	// ErrUnauthentic: a request does not come from the provider.
	ErrUnauthentic = errors.New("unauthentic")
	// ErrMalformed: a request of the provider can't be read.
	ErrMalformed = errors.New("malformed")
)
