package ports

import (
	"fmt"

	"github.com/callplane/callplane/contracts/events"
)

// Membership is what a user may follow of a session: what its log holds from the event on that made them a member, up to the one that removed
// them. A log's events are counted from 1 on.
type Membership struct {
	SessionID string
	UserID    string
	Since     int64 // the event that made them a member
	Until     int64 // the event that removed them; 0: they are a member
}

// MembershipChanges returns with which events of a log memberships begin and end, by user. The entries follow the event lastSeq. Whoever
// was a member from the session's creation on is not among them.
func MembershipChanges(lastSeq int64, entries []Entry) (begin, end map[string]int64, err error) {
	begin, end = map[string]int64{}, map[string]int64{}
	for i, e := range entries {
		seq := lastSeq + int64(i) + 1
		switch e.Event.Type {
		case events.CallMemberAdded:
			added, err := events.DecodePayload[events.CallMemberAddedPayload](e.Event)
			if err != nil {
				return nil, nil, fmt.Errorf("find out whose membership begins: %w", err)
			}
			begin[added.UserID] = seq
		case events.CallMemberRemoved:
			removed, err := events.DecodePayload[events.CallMemberRemovedPayload](e.Event)
			if err != nil {
				return nil, nil, fmt.Errorf("find out whose membership ends: %w", err)
			}
			end[removed.UserID] = seq
		default: // changes no membership
		}
	}
	return begin, end, nil
}
