package domain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// Difference is a part of a session's state that is stored otherwise than its log says.
type Difference struct {
	Field  string
	Stored string
	Logged string
}

// Differences compares a stored state with the one that the session's log describes.
func Differences(stored, logged Snapshot) []Difference {
	var found []Difference
	compare := func(field string, same bool, stored, logged any) {
		if !same {
			found = append(found, Difference{field, fmt.Sprint(stored), fmt.Sprint(logged)})
		}
	}
	text := func(field string, stored, logged string) { compare(field, stored == logged, stored, logged) }
	optional := func(field string, stored, logged *string) {
		compare(field, same(stored, logged), shown(stored), shown(logged))
	}
	instant := func(field string, stored, logged *time.Time) {
		equal := stored == nil && logged == nil || stored != nil && logged != nil && stored.Equal(*logged)
		compare(field, equal, shown(stored), shown(logged))
	}
	text("sessionId", stored.ID, logged.ID)
	text("ownerId", stored.OwnerID, logged.OwnerID)
	text("status", string(stored.Status), string(logged.Status))
	optional("title", stored.Title, logged.Title)
	text("kind", string(stored.Kind), string(logged.Kind))
	text("provider", stored.Provider, logged.Provider)
	compare("correlation", equal(stored.Correlation, logged.Correlation), shown(stored.Correlation), shown(logged.Correlation))
	compare("metadata", sameJSON(stored.Metadata, logged.Metadata), string(stored.Metadata), string(logged.Metadata))
	compare("version", stored.Version == logged.Version, stored.Version, logged.Version)
	instant("createdAt", &stored.CreatedAt, &logged.CreatedAt)
	instant("updatedAt", &stored.UpdatedAt, &logged.UpdatedAt)
	instant("startedAt", stored.StartedAt, logged.StartedAt)
	instant("endedAt", stored.EndedAt, logged.EndedAt)
	optional("endReason", stored.EndReason, logged.EndReason)
	compare("error", equal(stored.Failure, logged.Failure), shown(stored.Failure), shown(logged.Failure))
	compare("disconnected", stored.Disconnected == logged.Disconnected, stored.Disconnected, logged.Disconnected)
	found = append(found, memberDifferences(stored.Members, logged.Members)...)
	return append(found, participantDifferences(stored.Participants, logged.Participants)...)
}

// none is how a value looks that is not there.
const none = "none"

func shown[T any](value *T) string {
	if value == nil {
		return none
	}
	return fmt.Sprintf("%+v", *value)
}

func equal[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func memberDifferences(stored, logged []events.Member) []Difference {
	roles := func(members []events.Member) map[string]string {
		byUser := map[string]string{}
		for _, m := range members {
			byUser[m.UserID] = string(m.Role)
		}
		return byUser
	}
	return mapDifferences("member ", roles(stored), roles(logged))
}

func participantDifferences(stored, logged []Participant) []Difference {
	describe := func(participants []Participant) map[string]string {
		byIdentity := map[string]string{}
		for _, p := range participants {
			byIdentity[p.Identity] = fmt.Sprintf("%s %s since %s, publishing %q", p.UserID, p.Presence, p.JoinedAt.UTC().Format(time.RFC3339Nano), p.OpenTracks)
		}
		return byIdentity
	}
	return mapDifferences("participant ", describe(stored), describe(logged))
}

// mapDifferences compares two descriptions by name.
func mapDifferences(what string, stored, logged map[string]string) []Difference {
	names := map[string]bool{}
	for name := range stored {
		names[name] = true
	}
	for name := range logged {
		names[name] = true
	}
	var found []Difference
	for name := range names {
		was, known := stored[name]
		if !known {
			was = none
		}
		should, told := logged[name]
		if !told {
			should = none
		}
		if was != should {
			found = append(found, Difference{what + name, was, should})
		}
	}
	slices.SortFunc(found, func(a, b Difference) int { return strings.Compare(a.Field, b.Field) })
	return found
}
