package app

import (
	"context"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/sessions/internal/domain"
	"github.com/callplane/callplane/services/sessions/internal/ports"
)

// ApplyEvent takes in what the provider's side reports.
type ApplyEvent struct {
	Store    ports.SessionStore
	Clock    ports.Clock
	IDs      ports.IDs
	Counters ports.Counters
}

// The decisions that are counted.
const (
	decidedAppended    = "appended"
	decidedDuplicate   = "duplicate"
	decidedQuarantined = "quarantined"
)

// Do appends the event to its session's log with what follows from it, or quarantines it, or finds that the log has it. An error is
// never the event's fault: the same event may be given again, and is then taken in once.
func (uc ApplyEvent) Do(ctx context.Context, event events.Accepted) error {
	var decision, reason string
	err := uc.Store.Take(ctx, event, func(session *domain.Session, logged *domain.Digest) (ports.Intake, error) {
		now := uc.Clock.Now()
		verdict := domain.Verdict{
			Decision: domain.Quarantine, Reason: domain.QuarantineUnknownSession, Detail: "there is no such session",
		}
		if session != nil {
			verdict = session.Observe(event, logged, now)
		}
		reason = string(verdict.Reason)
		switch verdict.Decision {
		case domain.Append:
			decision = decidedAppended
			following, err := sealed(uc.IDs, uc.Counters, event.SessionID, verdict.Drafts, now)
			entry := ports.Entry{Event: event.Envelope, JSON: event.Raw, Digest: event.Digest, AppendedAt: now}
			return ports.Intake{Entries: append([]ports.Entry{entry}, following...)}, err
		case domain.Duplicate:
			decision = decidedDuplicate
			return ports.Intake{}, nil
		default:
			decision = decidedQuarantined
			return ports.Intake{Quarantined: &ports.Quarantined{Event: event, Reason: verdict.Reason, Detail: verdict.Detail, At: now}}, nil
		}
	})
	if err != nil {
		return err
	}
	uc.Counters.EventTaken(decision, reason)
	return nil
}
