// Package system gives the use cases the machine's clock and new ids.
package system

import (
	"time"

	"github.com/callplane/callplane/contracts/events"
)

// Clock is the machine's, in UTC and microseconds, as times are kept.
type Clock struct{}

// Now implements ports.Clock.
func (Clock) Now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// IDs makes UUIDs version 7.
type IDs struct{}

// NewID implements ports.IDs.
func (IDs) NewID() (string, error) { return events.NewID() }
