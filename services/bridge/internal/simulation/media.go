package simulation

import (
	"context"
	"fmt"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
	"github.com/callplane/callplane/services/bridge/internal/ports"
)

var (
	_ ports.MediaListings     = (*Provider)(nil)
	_ ports.MediaParticipants = (*Provider)(nil)
	_ ports.MediaRooms        = (*Provider)(nil)
	_ ports.MediaPresence     = (*Provider)(nil)
)

// slowness is how long a slow answer takes.
const slowness = 4 * time.Second

var errNoAnswer = fmt.Errorf("the provider answers with an error: %w", ports.ErrUnavailable)

// wait has an answer that is decided already come late, where the provider is slow.
func (p *Provider) wait(ctx context.Context, name string) {
	p.mu.Lock()
	slow := p.lying(Slow, name)
	p.mu.Unlock()
	if !slow {
		return
	}
	timer := time.NewTimer(slowness)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// List implements ports.MediaListings.
func (p *Provider) List(ctx context.Context, roomNames []string) (map[string]ports.RoomAnswer, error) {
	p.mu.Lock()
	answers := map[string]ports.RoomAnswer{}
	away := p.lying(Away, "")
	for _, name := range roomNames {
		answers[name] = ports.RoomAnswer{Listing: p.listing(name)}
		p.note("listed %+v", answers[name].Listing)
		if p.lying(ListFails, name) {
			answers[name] = ports.RoomAnswer{Err: errNoAnswer}
		}
	}
	p.mu.Unlock()
	for _, name := range roomNames {
		p.wait(ctx, name)
	}
	if away {
		return nil, errNoAnswer
	}
	return answers, nil
}

// Rooms implements ports.MediaListings.
func (p *Provider) Rooms(context.Context) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lying(Away, "") {
		return nil, errNoAnswer
	}
	names := []string{"of-another-system"}
	for _, name := range sorted(p.rooms) {
		if p.lying(RoomsFail, name) {
			return nil, errNoAnswer
		}
		if p.listing(name).Room.SID != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

// Connections implements ports.MediaPresence.
func (p *Provider) Connections(ctx context.Context, name string) ([]domain.Listed, error) {
	answers, err := p.List(ctx, []string{name})
	if err != nil {
		return nil, err
	}
	return answers[name].Listing.Participants, answers[name].Err
}

// Ask implements ports.MediaParticipants.
func (p *Provider) Ask(ctx context.Context, name, identity string) (domain.Answer, error) {
	answer, err := p.ask(name, identity)
	p.note("asked for %s: %+v %v", identity, answer, err)
	if answer.Kind == domain.NotFound || answer.Kind == domain.NoResponse {
		p.denied(name, identity)
	}
	p.wait(ctx, name)
	return answer, err
}

func (p *Provider) ask(name, identity string) (domain.Answer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, who := p.find(name, identity)
	switch {
	case p.lying(Away, ""), p.lying(AskFails, name):
		return domain.Answer{}, errNoAnswer
	case who != nil && p.lying(AskNotFound, name):
		p.lies.denied[inRoom{name, identity}] = time.Now()
		return domain.Answer{Kind: domain.NotFound}, nil
	case who != nil && p.lying(AskNoResponse, name):
		p.lies.denied[inRoom{name, identity}] = time.Now()
		return domain.Answer{Kind: domain.NoResponse}, nil
	case who != nil:
		return domain.Answer{Kind: domain.Found, Found: who.listed()}, nil
	case p.rooms[name] != nil && p.rooms[name].stale[identity] != nil:
		return domain.Answer{Kind: domain.NoResponse}, nil
	default:
		return domain.Answer{Kind: domain.NotFound}, nil
	}
}

// Remove implements ports.MediaParticipants.
func (p *Provider) Remove(ctx context.Context, name, identity string) error {
	err := p.change(name, identity, RemoveFails, RemoveNotFound, func(r *room, _ *person) {
		p.drop(r, identity, events.LeaveParticipantRemoved)
	})
	p.note("removed %s: %v", identity, err)
	p.wait(ctx, name)
	return err
}

// SetRole implements ports.MediaParticipants.
func (p *Provider) SetRole(ctx context.Context, name string, desired domain.DesiredPermission) error {
	err := p.change(name, desired.Identity, RoleFails, RoleNotFound, func(r *room, who *person) {
		who.role = desired.Role
		for desired.Role == events.RoleViewer && len(who.tracks) > 0 {
			p.untrack(r, who)
		}
	})
	p.note("role of %s: %v", desired.Identity, err)
	p.wait(ctx, name)
	return err
}

func (p *Provider) change(name, identity string, fails, notFound Lie, do func(r *room, who *person)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, who := p.find(name, identity)
	switch {
	case p.lying(Away, ""), p.lying(fails, name):
		return errNoAnswer
	case p.lying(notFound, name):
		return ports.ErrNotFound
	case r == nil && p.rooms[name] != nil && p.rooms[name].stale[identity] != nil:
		return errNoAnswer // No node answers.
	case r == nil:
		return ports.ErrNotFound
	case p.lying(Ignored, name):
		return nil
	}
	do(r, who)
	if p.lying(AnswersLost, name) {
		return errNoAnswer
	}
	return nil
}

// Delete implements ports.MediaRooms. A room that no node holds is taken up by one, and deleted.
func (p *Provider) Delete(ctx context.Context, name string) error {
	err := p.deleted(name)
	p.note("deleted the room: %v", err)
	p.wait(ctx, name)
	return err
}

func (p *Provider) deleted(name string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.lying(Away, ""), p.lying(DeleteFails, name):
		return errNoAnswer
	case p.lying(DeleteNotFound, name), p.rooms[name] == nil:
		return ports.ErrNotFound
	case p.lying(Ignored, name):
		return nil
	}
	p.close(p.open(name), events.LeaveRoomDeleted)
	if p.lying(AnswersLost, name) {
		return errNoAnswer
	}
	return nil
}
