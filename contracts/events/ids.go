package events

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// derivedNamespace is the namespace of DerivedID. It must never change: it is part of every id that
// was ever derived.
var derivedNamespace = uuid.MustParse("5f3c1d0e-7b1a-5c46-9a53-0f6f6d1b8e27")

// NewID returns a new UUID version 7 (RFC 9562), for what starts here.
func NewID() (string, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return "", fmt.Errorf("making an event id: %w", err)
	}
	return id.String(), nil
}

// DerivedID returns the UUID version 5 (RFC 9562) of a provider's fact, the same for the same parts
// whoever derives it and whenever. Parts are joined with their lengths, so that different parts
// never make the same name.
func DerivedID(parts ...string) string {
	var name strings.Builder
	for _, part := range parts {
		name.WriteString(strconv.Itoa(len(part)))
		name.WriteByte(':')
		name.WriteString(part)
	}
	return uuid.NewSHA1(derivedNamespace, []byte(name.String())).String()
}
