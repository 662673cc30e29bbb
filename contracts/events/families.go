package events

import "strings"

// Family is whose events a type belongs to: it decides who may send them.
type Family string

// The families of events.
const (
	FamilySessions      Family = "sessions"      // call.* of the session itself
	FamilyProvider      Family = "provider"      // call.* of the media provider
	FamilyOrchestration Family = "orchestration" // transcript.*, orchestration.*, action.*, safety.*
	FamilyMetering      Family = "metering"      // usage.*, billing.*
)

// The broker users that produce events. Further producers of orchestration and metering are users
// named "<user>.<name>", such as orchestrator.asr.
const (
	ProducerSessions     = "sessions"
	ProducerBridge       = "bridge"
	ProducerOrchestrator = "orchestrator"
	ProducerBilling      = "billing"
)

var producers = map[Family]string{
	FamilySessions:      ProducerSessions,
	FamilyProvider:      ProducerBridge,
	FamilyOrchestration: ProducerOrchestrator,
	FamilyMetering:      ProducerBilling,
}

// FamilyOf returns the family of t, or "" for a type that is not in the catalogue.
func FamilyOf(t Type) Family { return catalogue[t].family }

// OfServices says whether the events of f are told by service principals, each in its own name.
func (f Family) OfServices() bool { return f == FamilyOrchestration || f == FamilyMetering }

// Producer returns the broker user that sends events of type t at its source, or "" for a type that
// is not in the catalogue. MaySend knows who else may.
func Producer(t Type) string { return producers[FamilyOf(t)] }

// MaySend says whether the broker user may send events of type t. What service principals post to
// the API goes out through sessions, so it may send their families too.
func MaySend(user string, t Type) bool {
	family := FamilyOf(t)
	producer, ok := producers[family]
	switch {
	case !ok:
		return false
	case user == producer:
		return true
	case !family.OfServices():
		return false
	case user == ProducerSessions:
		return true
	}
	name, ok := strings.CutPrefix(user, producer+".")
	return ok && name != ""
}

// maySpeakAs says whether the broker user, who may send t, may name actor as the one who did it. Who
// speaks of themselves must be who the broker says that they are; sessions has checked the actor of
// what was posted by their token, and the facts of sessions and the provider name whom they concern.
func maySpeakAs(user string, t Type, actor Actor) bool {
	return !FamilyOf(t).OfServices() || user == ProducerSessions || user == actor.ID
}
