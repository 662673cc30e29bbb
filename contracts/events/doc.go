// Package events is the published language of Callplane: the seven-field envelope, the catalogue of
// event types, a Go type for each payload, and the two gates every event passes: Seal where it is
// made (strict) and Accept where it is consumed (tolerant of a newer minor version).
//
// The JSON Schemas beside the Go types are the contract; tests hold the two together.
package events
