// Package domain holds what a session's room at the media provider is, and turns what the provider
// says about it into canonical events. It is pure: no clock, no random source, no environment; the
// same mapping and the same fact always give the same result.
//
// A room is its name and a participant their identity. Their sids change whenever the provider
// makes them again. Webhooks may be lost, repeated and late, listings may lack the living and show
// the dead: evidence.go says how each fact is known, and decision 0013 what follows from that.
//
// The files call each other in one direction. From the bottom to the top:
//
//	evidence, facts, grace, identity       what there is
//	mapping, outsiders, permissions        the state, and questions to it
//	transition, emit                       one change of a mapping, and its events
//	tracks, presence, calls, rooms         what happens to each
//	membership, admission                  what sessions decide
//	apply                                  what a webhook tells
//	listing, absences, inspect             what a listing, and answers, show
package domain
