// Package domain holds what a session's room at the media provider is, and turns what the provider
// says about it into canonical events. It is pure: no clock, no random source, no environment; the
// same mapping and the same fact always give the same result.
//
// A room is its name and a participant their identity. Their sids change whenever the provider makes
// them again, so sids only tell an older connection from a newer one. Facts may be lost, repeated and
// late; what is older than the mapping knows changes nothing.
package domain
