package simulation

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/callplane/callplane/contracts/events"
	"github.com/callplane/callplane/services/bridge/internal/domain"
)

const (
	departureTimeout = 20 * time.Second // of a room that the last one has left
	deathNoticed     = 20 * time.Second // until the provider notices that a client is dead
	connectTime      = 3 * time.Second  // until a slow client is fully in the room
)

// Provider is a simulated media provider: what really happens in its rooms. What it answers when it
// is asked is in media.go.
type Provider struct {
	redis  bool                                     // its store outlives its nodes
	hear   func(room, sid string, fact domain.Fact) // gets what webhooks tell
	denied func(room, identity string)              // gets each answer that a participant isn't there
	note   func(format string, args ...any)         // gets calls and answers, for people

	mu        sync.Mutex
	clock     time.Duration // by which the clock of the node at work is wrong
	rooms     map[string]*room
	changedAt map[string]time.Time // when something changed in a room, last
	sids      map[string]int       // how many of each kind were given
	lies      liar
}

// room is a room at the provider. One that no node holds any more is only listed.
type room struct {
	name, sid string
	createdAt time.Time
	held      bool               // a node holds it
	people    map[string]*person // that its node holds, by identity
	stale     map[string]*person // entries of the store that no node stands behind
	past      map[string]*person // the last connection of each identity that ended
	emptyAt   time.Time          // when the last one left who keeps it open
}

// person is one connection.
type person struct {
	identity, sid string
	joinedAt      time.Time // by the node's clock
	enteredAt     time.Time
	kind          domain.Kind
	role          events.Role
	tracks        []domain.Track
	activeAt      time.Time // when a slow client is fully in the room; zero once it is
	aborts        bool      // a slow client gives up instead
	goneAt        time.Time // when the client is found dead; zero while it lives
}

func newProvider(redis bool, note func(format string, args ...any), hear func(room, sid string, fact domain.Fact)) *Provider {
	return &Provider{
		redis: redis, rooms: map[string]*room{}, sids: map[string]int{}, changedAt: map[string]time.Time{},
		hear: hear, note: note, lies: newLiar(),
	}
}

func (p *Provider) sid(kind string) string {
	p.sids[kind]++
	return fmt.Sprintf("%s_%03d", kind, p.sids[kind])
}

// stamp is the time by the clock of the node at work.
func (p *Provider) stamp() time.Time { return time.Now().Add(p.clock).UTC().Truncate(time.Millisecond) }

func (p *Provider) observation(r *room) domain.Observation {
	return domain.Observation{Room: domain.RoomRef{Name: r.name, SID: r.sid, CreatedAt: r.createdAt}, At: p.stamp().Truncate(time.Second)}
}

// tell sends a webhook about a room.
func (p *Provider) tell(r *room, fact domain.Fact) {
	p.changedAt[r.name] = time.Now()
	p.hear(r.name, r.sid, fact)
}

// changed is when something changed in a room, last; zero where nothing did.
func (p *Provider) changed(name string) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changedAt[name]
}

// enter adds a connection, which is fully in the room at once, or after a while, or never. An
// earlier connection of the same identity gives way.
func (p *Provider) enter(name string, who person) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.open(name)
	if _, there := r.people[who.identity]; there {
		p.drop(r, who.identity, events.LeaveDuplicateIdentity)
	}
	who.sid, who.joinedAt, who.enteredAt = p.sid("PA"), p.stamp(), time.Now()
	delete(r.stale, who.identity)
	r.people[who.identity] = &who
	r.emptyAt = time.Time{}
	if who.activeAt.IsZero() {
		p.tell(r, domain.ParticipantJoined{Observation: p.observation(r), Connection: who.connection()})
	}
}

// open returns the room, made anew where there is none. A room that only the store knows keeps its
// sid.
func (p *Provider) open(name string) *room {
	r := p.rooms[name]
	if r == nil {
		r = &room{
			name: name, sid: p.sid("RM"), createdAt: p.stamp(),
			people: map[string]*person{}, stale: map[string]*person{}, past: map[string]*person{},
		}
		p.rooms[name] = r
	}
	if !r.held {
		r.held = true
		p.tell(r, domain.RoomStarted{Observation: p.observation(r)})
	}
	return r
}

// drop ends a connection.
func (p *Provider) drop(r *room, identity string, why events.LeaveReason) {
	gone := r.people[identity]
	if why == events.LeaveClientInitiated {
		for len(gone.tracks) > 0 {
			p.untrack(r, gone)
		}
	}
	delete(r.people, identity)
	r.past[identity] = gone
	p.tell(r, domain.ParticipantLeft{
		Observation: p.observation(r), Connection: gone.connection(), Reason: why, Aborted: !gone.activeAt.IsZero(),
	})
	if r.empty() {
		r.emptyAt = time.Now()
	}
}

// empty says whether no connection keeps the room open: agents and recorders don't.
func (r *room) empty() bool {
	for _, who := range r.people {
		if who.kind == domain.Standard || who.kind == domain.Phone {
			return false
		}
	}
	return true
}

// leave has a client end its connection in order.
func (p *Provider) leave(name, identity string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, _ := p.find(name, identity); r != nil {
		p.drop(r, identity, events.LeaveClientInitiated)
	}
}

// die kills a client; the provider notices later.
func (p *Provider) die(name, identity string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, who := p.find(name, identity); who != nil && who.goneAt.IsZero() {
		who.goneAt = time.Now().Add(deathNoticed)
	}
}

// migrate moves a connection to another node: it gets a new sid, and its tracks are published
// again.
func (p *Provider) migrate(name, identity string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, who := p.find(name, identity)
	if r == nil || !who.activeAt.IsZero() {
		return
	}
	moved := *who
	p.drop(r, identity, events.LeaveMigration)
	moved.sid, moved.joinedAt, moved.tracks = p.sid("PA"), p.stamp(), nil
	r.people[identity], r.emptyAt = &moved, time.Time{}
	p.tell(r, domain.ParticipantJoined{Observation: p.observation(r), Connection: moved.connection()})
	for range who.tracks {
		p.track(r, &moved)
	}
}

func (p *Provider) publish(name, identity string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, who := p.find(name, identity); r != nil && who.activeAt.IsZero() && who.role != events.RoleViewer && len(who.tracks) < 3 {
		p.track(r, who)
	}
}

func (p *Provider) unpublish(name, identity string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, who := p.find(name, identity); r != nil && len(who.tracks) > 0 {
		p.untrack(r, who)
	}
}

func (p *Provider) track(r *room, who *person) {
	track := domain.Track{SID: p.sid("TR"), Kind: events.TrackAudio, Source: events.SourceMicrophone, PublishedAt: p.stamp()}
	who.tracks = append(slices.Clone(who.tracks), track)
	p.tell(r, domain.TrackPublished{Observation: p.brief(r), Connection: who.brief(), Track: track})
}

func (p *Provider) untrack(r *room, who *person) {
	track := who.tracks[0]
	who.tracks = slices.Clone(who.tracks[1:])
	p.tell(r, domain.TrackUnpublished{Observation: p.brief(r), Connection: who.brief(), Track: track})
}

// brief is what a webhook about a track says of the room.
func (p *Provider) brief(r *room) domain.Observation {
	o := p.observation(r)
	o.Room.CreatedAt = time.Time{}
	return o
}

func (who *person) brief() domain.Connection {
	return domain.Connection{Identity: who.identity, SID: who.sid}
}

func (who *person) connection() domain.Connection {
	return domain.Connection{Identity: who.identity, SID: who.sid, JoinedAt: who.joinedAt}
}

// find returns a connection that a node holds.
func (p *Provider) find(name, identity string) (*room, *person) {
	r := p.rooms[name]
	if r == nil || r.people[identity] == nil {
		return nil, nil
	}
	return r, r.people[identity]
}

// crash kills the nodes: everything is gone without a word, or, where the store outlives them,
// listed.
func (p *Provider) crash() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, r := range p.rooms {
		if !p.redis {
			delete(p.rooms, name)
			p.lies.keep(r)
			continue
		}
		for identity, who := range r.people {
			r.stale[identity] = who
		}
		r.people, r.held, r.emptyAt = map[string]*person{}, false, time.Time{}
	}
}

// step has happen what is due: dead clients are noticed, slow ones arrive, and empty rooms are
// closed.
func (p *Provider) step() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.inOrder() {
		for _, identity := range sorted(r.people) {
			p.stepPerson(r, r.people[identity])
		}
		if r.held && !r.emptyAt.IsZero() && !time.Now().Before(r.emptyAt.Add(departureTimeout)) {
			p.close(r, events.LeaveRoomClosed)
		}
	}
}

// next is when something is due; zero where nothing is.
func (p *Provider) next() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	var next time.Time
	at := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, r := range p.rooms {
		if r.held && !r.emptyAt.IsZero() {
			at(r.emptyAt.Add(departureTimeout))
		}
		for _, who := range r.people {
			at(who.goneAt)
			at(who.activeAt)
		}
	}
	return next
}

func (p *Provider) stepPerson(r *room, who *person) {
	now := time.Now()
	switch {
	case !who.goneAt.IsZero() && !now.Before(who.goneAt):
		p.drop(r, who.identity, events.LeaveConnectionTimeout)
	case who.activeAt.IsZero() || now.Before(who.activeAt):
	case who.aborts:
		p.drop(r, who.identity, events.LeaveJoinFailure)
	default:
		who.activeAt = time.Time{}
		p.tell(r, domain.ParticipantJoined{Observation: p.observation(r), Connection: who.connection()})
	}
}

// close ends a room with all who are still in it.
func (p *Provider) close(r *room, why events.LeaveReason) {
	for _, identity := range sorted(r.people) {
		p.drop(r, identity, why)
	}
	delete(p.rooms, r.name)
	p.lies.keep(r)
	p.tell(r, domain.RoomFinished{Observation: p.observation(r)})
}

func (p *Provider) inOrder() []*room {
	rooms := make([]*room, 0, len(p.rooms))
	for _, name := range sorted(p.rooms) {
		rooms = append(rooms, p.rooms[name])
	}
	return rooms
}

// sorted lists the keys of a map in order, so that the same schedule always does the same.
func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// roomSID is the sid of the room that has the name now; "" where none has.
func (p *Provider) roomSID(name string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.rooms[name]; r != nil {
		return r.sid
	}
	return ""
}

// inRoom returns copies of the connections that are really in a room, by identity.
func (p *Provider) inRoom(name string) map[string]person {
	p.mu.Lock()
	defer p.mu.Unlock()
	people := map[string]person{}
	if r := p.rooms[name]; r != nil {
		for identity, who := range r.people {
			people[identity] = *who
		}
	}
	return people
}

// setClock has the clock of the node at work go wrong by so much.
func (p *Provider) setClock(skew time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clock = skew
}
