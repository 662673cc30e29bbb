package domain

import (
	"fmt"
	"regexp"
	"unicode/utf8"

	"github.com/callplane/callplane/contracts/events"
)

// MaxMembers is how many members a session may have, the owner counted.
const MaxMembers = 100

var (
	userIDForm   = regexp.MustCompile(`^[!-~]{1,128}$`)
	providerForm = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)
	providerID   = regexp.MustCompile(`^[!-~]{1,256}$`)
	deviceIDForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
)

// ValidUserID says whether id can be a user's: 1 to 128 visible ASCII characters.
func ValidUserID(id string) bool { return userIDForm.MatchString(id) }

func (f *faults) checkUserID(pointer, id string) {
	if !ValidUserID(id) {
		f.add(pointer, FaultFormat, "must be 1 to 128 visible ASCII characters")
	}
}

func (f *faults) checkRole(pointer string, role events.Role) {
	switch role {
	case events.RoleHost, events.RoleParticipant, events.RoleViewer:
	default:
		f.add(pointer, FaultValue, "must be host, participant or viewer")
	}
}

func (f *faults) checkText(pointer string, text *string, limit int) {
	if text == nil {
		return
	}
	if *text == "" {
		f.add(pointer, FaultRequired, "must not be empty; leave it out or give null instead")
	}
	if utf8.RuneCountInString(*text) > limit {
		f.add(pointer, FaultTooLong, fmt.Sprintf("must be at most %d characters", limit))
	}
}

func (f *faults) checkProvider(pointer, provider string) {
	if !providerForm.MatchString(provider) {
		f.add(pointer, FaultFormat, "must be 1 to 64 of a-z, 0-9, - and _, beginning with a letter")
	}
}

func (f *faults) checkProviderID(pointer string, id *string) {
	if id != nil && !providerID.MatchString(*id) {
		f.add(pointer, FaultFormat, "must be 1 to 256 visible ASCII characters")
	}
}
