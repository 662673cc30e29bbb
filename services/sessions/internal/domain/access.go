package domain

import (
	"slices"
	"strings"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// Scope is a right of a service principal over sessions that it is no member of.
type Scope string

// The scopes.
const (
	ScopeRead   Scope = "call:read"   // read any session
	ScopeEvents Scope = "call:events" // post transcript, orchestration, action and safety events
	ScopeUsage  Scope = "call:usage"  // post usage and billing events
	ScopeAdmin  Scope = "call:admin"  // create for others; change and end any session, and its members
)

var scopes = []Scope{ScopeRead, ScopeEvents, ScopeUsage, ScopeAdmin}

// Principal is an authenticated caller.
type Principal struct {
	UserID    string
	Scopes    []Scope
	ExpiresAt time.Time // until when they have shown who they are; zero: without an end
}

// Has says whether the principal was given the scope.
func (p Principal) Has(scope Scope) bool { return slices.Contains(p.Scopes, scope) }

// SeesAll says whether the principal sees sessions that they are no member of.
func (p Principal) SeesAll() bool { return p.Has(ScopeRead) || p.Has(ScopeAdmin) }

// Actor returns who the principal is in events: a service where they have a scope of ours.
func (p Principal) Actor() events.Actor {
	if slices.ContainsFunc(p.Scopes, func(s Scope) bool { return slices.Contains(scopes, s) }) {
		return events.Actor{Type: events.ActorService, ID: p.UserID}
	}
	return events.Actor{Type: events.ActorUser, ID: p.UserID}
}

// BillingPrefix is what the types of billing events begin with. They are between the operator's own services.
const BillingPrefix = "billing."

// ShownToMembers says whether members are shown events of this type. Who sees all sessions is shown all events.
func ShownToMembers(t events.Type) bool { return !strings.HasPrefix(string(t), BillingPrefix) }

// scopeOf returns the scope with which events of the type are posted; "" where nobody may.
func scopeOf(t events.Type) Scope {
	switch events.FamilyOf(t) {
	case events.FamilyOrchestration:
		return ScopeEvents
	case events.FamilyMetering:
		return ScopeUsage
	default:
		return ""
	}
}

// MayPost says whether the principal may post events of the type, to any session.
func (p Principal) MayPost(t events.Type) bool {
	scope := scopeOf(t)
	return scope != "" && p.Has(scope)
}

// Posts says whether there are events that the principal may post.
func (p Principal) Posts() bool { return p.Has(ScopeEvents) || p.Has(ScopeUsage) }

// Action is something to do with a session.
type Action int

// The actions.
const (
	ActionRead   Action = iota // read the session and its events
	ActionToken                // join the call
	ActionChange               // change or end the session, invite and remove
)

// Authorize returns nil where the principal may do the action, ErrForbidden where they may not, and
// ErrNotFound where they must not even learn that the session exists.
func (s *Session) Authorize(p Principal, action Action) error {
	role, member := s.RoleOf(p.UserID)
	if !member && !p.SeesAll() {
		return ErrNotFound
	}
	var allowed bool
	switch action {
	case ActionRead:
		allowed = true
	case ActionToken:
		allowed = member
	case ActionChange:
		allowed = role == events.RoleHost || p.Has(ScopeAdmin)
	}
	if !allowed {
		return ErrForbidden
	}
	return nil
}
