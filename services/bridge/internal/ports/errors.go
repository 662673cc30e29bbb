package ports

import "errors"

// Errors of what is outside.
var (
	// ErrUnavailable: a server that is needed is away or busy; the same may succeed later.
	ErrUnavailable = errors.New("unavailable")
	// ErrRefused: the provider answers and refuses the key, or the time that the request bears. It
	// comes with ErrUnavailable, since the same may succeed later.
	ErrRefused = errors.New("the provider refuses the key or the clock")
	// ErrNotFound: the provider says that it has no such room or participant, which proves
	// something only where a listing agrees.
	ErrNotFound = errors.New("not found")
	// ErrUnauthentic: a request does not come from the provider.
	ErrUnauthentic = errors.New("unauthentic")
	// ErrMalformed: a request of the provider can't be read.
	ErrMalformed = errors.New("malformed")
)
