package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/callplane/callplane/contracts/commands"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

// ShowPresence says whether a session's call has a participant. The provider is asked itself: a
// webhook may be late or lost.
type ShowPresence struct {
	Rooms        ports.MediaPresence
	Participants ports.MediaParticipants
	Mappings     ports.MappingReader
	Tally        ports.Tally
}

// Do answers a presence command. A refusal is an error of type *commands.Failure, with its cause
// joined to it; what isn't known for sure is one, never a no.
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

// show lists first: a listed member was mapped before their token left, so that a mapping read
// afterwards holds them. Members who are not listed are asked for: a listing may lack the living.
func (s ShowPresence) show(ctx context.Context, c commands.CallPresence) (commands.CallPresenceShown, error) {
	room := domain.RoomName(c.SessionID)
	connections, err := s.Rooms.Connections(ctx, room)
	if err != nil {
		return commands.CallPresenceShown{}, fmt.Errorf("listing who is connected: %w", err)
	}
	mapping, known, err := s.Mappings.Find(ctx, c.SessionID)
	if err != nil {
		return commands.CallPresenceShown{}, fmt.Errorf("reading the mapping: %w", err)
	}
	if !known {
		// No token was ever issued for it, so a member can't be there.
		return commands.CallPresenceShown{Connected: domain.New(c.SessionID).Connected(connections)}, nil
	}
	if mapping.SessionVersion() > c.SessionVersion {
		return commands.CallPresenceShown{}, errAskerIsLate
	}
	shown := commands.CallPresenceShown{Connected: mapping.Connected(connections), Activated: mapping.Activated()}
	for _, identity := range mapping.ActiveMembers() {
		if shown.Connected || shown.Activated {
			break
		}
		answer, err := s.Participants.Ask(ctx, room, identity)
		if err != nil {
			return commands.CallPresenceShown{}, fmt.Errorf("asking for a member: %w", err)
		}
		shown.Connected = answer.Kind == domain.Found
	}
	return shown, nil
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
