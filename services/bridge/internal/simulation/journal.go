package simulation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// SchedulesDir is the variable of the environment that names a directory. Where it is set, the
// property test writes the journal of each schedule there, for the tests of the sessions service.
const SchedulesDir = "CALLPLANE_SCHEDULES"

// EntryKind says what the sessions service does with an entry of a journal.
type EntryKind string

// The kinds of entries.
const (
	EntrySession EntryKind = "session" // it creates the session; the first entry
	EntryEvent   EntryKind = "event"   // it takes an event of the bridge
	EntryMember  EntryKind = "member"  // it makes the user a member with the role
	EntryRemoved EntryKind = "removed" // it removes the member
	EntryEnded   EntryKind = "ended"   // it ends the session
	EntryShown   EntryKind = "shown"   // the bridge's mapping shows this now; the last entry
)

// Entry is one line of a journal: what the sessions service does, in order.
type Entry struct {
	Kind      EntryKind           `json:"kind"`
	SessionID string              `json:"sessionId,omitempty"`
	OwnerID   string              `json:"ownerId,omitempty"`
	Members   []events.Member     `json:"members,omitempty"`
	User      string              `json:"user,omitempty"`
	Role      events.Role         `json:"role,omitempty"`
	Event     json.RawMessage     `json:"event,omitempty"`
	Presence  map[string]string   `json:"presence,omitzero"` // by identity: present, reconnecting or left
	Tracks    map[string][]string `json:"tracks,omitzero"`   // sids of the open ones, by identity
}

// presences is what sessions calls the bridge's kinds of presence.
var presences = map[domain.Presence]string{
	domain.Present: "present", domain.Replaced: "present", domain.Reconnecting: "reconnecting", domain.Absent: "left",
}

// shownBy returns the entry that says what a mapping shows.
func shownBy(state domain.State) Entry {
	shown := Entry{Kind: EntryShown, Presence: map[string]string{}, Tracks: map[string][]string{}}
	for identity, p := range state.Participants {
		shown.Presence[identity] = presences[p.Presence]
		if open := openTracks(p); len(open) > 0 {
			shown.Tracks[identity] = open
		}
	}
	return shown
}

// WriteJournal writes the journal to a new file in a directory, a line of JSON for each entry.
func (o CallOutcome) WriteJournal(dir string) error {
	var lines bytes.Buffer
	encoder := json.NewEncoder(&lines)
	for _, entry := range append(o.Journal, shownBy(o.Mapping)) {
		if err := encoder.Encode(entry); err != nil {
			return fmt.Errorf("encoding a journal: %w", err)
		}
	}
	file, err := os.CreateTemp(dir, "*.jsonl")
	if err != nil {
		return fmt.Errorf("writing a journal: %w", err)
	}
	_, err = file.Write(lines.Bytes())
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err != nil {
		return fmt.Errorf("writing the journal %s: %w", filepath.Base(file.Name()), err)
	}
	return nil
}
