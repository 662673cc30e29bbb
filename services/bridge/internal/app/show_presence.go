package app

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// ShowPresence says whether anybody is in a session's call. The provider is asked itself: a webhook may be late or lost.
type ShowPresence struct {
	Rooms    ports.MediaPresence
	Mappings ports.MappingReader
	Tally    ports.Tally
}

// Do answers a presence command. A refusal is an error of type *commands.Failure, with its cause joined to it; what isn't known for sure is
// one, never a no.
func (s ShowPresence) Do(ctx context.Context, c commands.CallPresence) (commands.CallPresenceShown, error) {
	shown, err := s.show(ctx, c)
	if err != nil {
		failure := presenceRefusal(err)
		s.Tally.Presence(string(failure.Code))
		return commands.CallPresenceShown{}, errors.Join(&failure, err)
	}
	switch {
	case shown.Connected:
		s.Tally.Presence("connected")
	case shown.Activated:
		s.Tally.Presence("activated")
	default:
		s.Tally.Presence("nobody")
	}
	return shown, nil
}

var errAskerIsLate = errors.New("the session is known in a newer version")

// show lists first: whoever is listed was mapped before their token left, so that a mapping read afterwards holds them.
func (s ShowPresence) show(ctx context.Context, c commands.CallPresence) (commands.CallPresenceShown, error) {
	identities, err := s.Rooms.Connected(ctx, domain.RoomName(c.SessionID))
	if err != nil {
		return commands.CallPresenceShown{}, fmt.Errorf("listing who is connected: %w", err)
	}
	mapping, known, err := s.Mappings.Find(ctx, c.SessionID)
	if err != nil {
		return commands.CallPresenceShown{}, fmt.Errorf("reading the mapping: %w", err)
	}
	if !known {
		return commands.CallPresenceShown{}, nil // No token was ever issued for it.
	}
	if mapping.SessionVersion() > c.SessionVersion {
		return commands.CallPresenceShown{}, errAskerIsLate
	}
	return commands.CallPresenceShown{
		Connected: slices.ContainsFunc(identities, mapping.Seats), Activated: mapping.Activated(),
	}, nil
}

func presenceRefusal(err error) commands.Failure {
	switch {
	case errors.Is(err, errAskerIsLate):
		return commands.Failure{Code: commands.StaleCommand, Message: "the session has changed since", Retryable: true}
	case errors.Is(err, ports.ErrUnavailable):
		return commands.Failure{Code: commands.Unavailable, Message: "LiveKit or the bridge's database is away", Retryable: true}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return commands.Failure{Code: commands.Unavailable, Message: "the command's time was over", Retryable: true}
	default:
		return commands.Failure{Code: commands.Internal, Message: "the bridge failed to find out who is in the call"}
	}
}
