package domain

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// Spec is what a session is created from. Zero fields take their defaults: video, livekit, no title,
// empty metadata, the owner alone.
type Spec struct {
	OwnerID  string
	Kind     events.Kind
	Provider string
	Title    *string
	Metadata json.RawMessage
	Members  []events.Member
}

// Create makes a session with the given id (a lower-case UUID) and the events that begin its log.
// The error is an *InvalidError with everything that is wrong.
func Create(id string, spec Spec, actor events.Actor, now time.Time) (*Session, []events.Draft, error) {
	spec, err := spec.completed()
	if err != nil {
		return nil, nil, err
	}
	created := events.CallCreatedPayload{
		OwnerID:        spec.OwnerID,
		Kind:           spec.Kind,
		Provider:       spec.Provider,
		Title:          spec.Title,
		Metadata:       spec.Metadata,
		Members:        spec.Members,
		SessionVersion: 1,
	}
	s := &Session{state: Snapshot{ID: id}}
	drafts := s.record(nil, now, events.Draft{Timestamp: precise(now), Actor: actor, Payload: created})
	return s, drafts, nil
}

// Check returns everything that is wrong with the spec, as an *InvalidError.
func (spec Spec) Check() error {
	_, err := spec.completed()
	return err
}

func (spec Spec) completed() (Spec, error) {
	var found faults
	if spec.Kind == "" {
		spec.Kind = events.KindVideo
	}
	if spec.Kind != events.KindVideo && spec.Kind != events.KindAudio {
		found.add("/kind", FaultValue, "must be audio or video")
	}
	if spec.Provider == "" {
		spec.Provider = events.ProviderLiveKit
	}
	found.checkProvider("/provider", spec.Provider)
	found.checkText("/title", spec.Title, events.MaxTitle)
	found.checkUserID("/ownerId", spec.OwnerID)
	spec.Metadata = found.completedMetadata(spec.Metadata)
	spec.Members = found.completedMembers(spec.OwnerID, spec.Members)
	return spec, found.err()
}

func (f *faults) completedMetadata(given json.RawMessage) json.RawMessage {
	if given == nil || isNull(given) {
		return emptyObject
	}
	text, err := compact(given)
	if err != nil {
		f.add("/metadata", FaultValue, "must be a JSON object")
		return emptyObject
	}
	f.checkMetadata(text)
	return text
}

// completedMembers adds the owner and sorts by user.
func (f *faults) completedMembers(owner string, given []events.Member) []events.Member {
	members := []events.Member{{UserID: owner, Role: events.RoleHost}}
	seen := map[string]bool{}
	for i, m := range given {
		pointer := fmt.Sprintf("/members/%d", i)
		f.checkUserID(pointer+"/userId", m.UserID)
		f.checkRole(pointer+"/role", m.Role)
		switch {
		case seen[m.UserID]:
			f.add(pointer+"/userId", FaultDuplicate, "is listed twice")
		case m.UserID != owner:
			members = append(members, m)
		case m.Role != events.RoleHost:
			f.add(pointer+"/role", FaultNotAllowed, "must be host: it is the owner")
		}
		seen[m.UserID] = true
	}
	if len(members) > MaxMembers {
		f.add("/members", FaultTooMany, fmt.Sprintf("must be at most %d, the owner counted", MaxMembers))
	}
	slices.SortFunc(members, func(a, b events.Member) int { return strings.Compare(a.UserID, b.UserID) })
	return members
}
