package app

import (
	"hash/fnv"
	"time"

	"github.com/callplane/callplane/services/bridge/internal/domain"
)

// liveness decides which of the listed participants are to be asked for: each once in a timeout,
// since a store that outlives its nodes (LiveKit with Redis) lists the dead for good. It is this
// process' memory; what a restart loses is asked for again within one timeout. It belongs to one
// goroutine.
type liveness struct {
	timeout time.Duration
	due     map[string]time.Time // by the sid of the connection
	listed  map[string]time.Time // those of the pass that goes on
	until   time.Time            // the pass that goes on asks for none after this
}

func newLiveness(timeout time.Duration) *liveness {
	return &liveness{timeout: timeout, due: map[string]time.Time{}, listed: map[string]time.Time{}}
}

// begin begins a pass, in which participants are asked for up to a time: a node that is gone takes
// seconds for each answer, and the other rooms are to be compared meanwhile.
func (l *liveness) begin(until time.Time) { l.until = until }

// silent returns the identities of a listing that are to be asked for now. Who is listed for the
// first time has a time of their own within the timeout, so that not all are asked for at once
// after a start.
func (l *liveness) silent(listing domain.Listing, now time.Time) map[string]bool {
	var silent map[string]bool
	for _, p := range listing.Participants {
		if p.SID == "" {
			continue
		}
		due, known := l.due[p.SID]
		if !known {
			due = now.Add(l.spread(p.SID))
		}
		if !due.After(now) && now.Before(l.until) {
			if silent == nil {
				silent = map[string]bool{}
			}
			silent[p.Identity] = true
		}
		l.due[p.SID], l.listed[p.SID] = due, due
	}
	return silent
}

// answered notes for whom of a listing an answer came: they are asked for again after the timeout.
func (l *liveness) answered(listing domain.Listing, answers map[string]domain.Answer, now time.Time) {
	for _, p := range listing.Participants {
		if answers[p.Identity].Kind != 0 && p.SID != "" {
			l.due[p.SID], l.listed[p.SID] = now.Add(l.timeout), now.Add(l.timeout)
		}
	}
}

// spread is a part of the timeout that is always the same for a sid.
func (l *liveness) spread(sid string) time.Duration {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(sid))                                 // never fails
	return time.Duration(hash.Sum64() % uint64(max(l.timeout, 1))) //nolint:gosec // A remainder of a positive duration.
}

// passed ends a pass: connections that it did not list are forgotten.
func (l *liveness) passed() {
	l.due, l.listed = l.listed, map[string]time.Time{}
}
