// Package schedule decides which faults happen when, by a seed alone: the same seed, length and
// kinds give the same schedule.
package schedule

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Kind is a way in which something breaks.
type Kind string

// The kinds of faults.
const (
	Kill     Kind = "kill"      // SIGKILL, and a start some time later
	Roll     Kind = "roll"      // SIGTERM and a start, one replica of a service after the other
	Pause    Kind = "pause"     // SIGSTOP for longer than any lease, then SIGCONT
	Cut      Kind = "cut"       // connections break, and nobody can connect for a while
	Slow     Kind = "slow"      // everything takes long on its way
	HalfOpen Kind = "half-open" // connections stay open and answers vanish
	Fill     Kind = "fill"      // the disk is full for a while; the broker's as full as it lets it become
	Lie      Kind = "lie"       // LiveKit's server API answers with what is not so
	Redis    Kind = "redis"     // LiveKit or the Redis that it keeps its rooms in ends or stands still; a run without this kind has no Redis
)

// Kinds are all kinds.
var Kinds = []Kind{Kill, Roll, Pause, Cut, Slow, HalfOpen, Fill, Lie, Redis}

// Fault is one fault: what happens to whom, from when on and for how long. A Roll has no length; it
// takes as long as it takes.
type Fault struct {
	Kind   Kind
	Target string
	At     time.Duration // after the begin of the run
	Lasts  time.Duration
}

// String says all of it in a line.
func (f Fault) String() string {
	return fmt.Sprintf("%7.1fs %-9s %s for %s", f.At.Seconds(), f.Kind, f.Target, f.Lasts.Round(10*time.Millisecond))
}

// Targets are the names of what each kind can happen to.
type Targets map[Kind][]string

// The names of what is broken. A link is named by who connects to what.
const (
	Broker       = "broker"
	Database     = "database"
	LiveKit      = "livekit"
	Orchestrator = "orchestrator"
	Sessions     = "sessions"
	Bridge       = "bridge"
	Webhooks     = "webhooks"
	Users        = "users"
)

// What happens to LiveKit's Redis. Both are LiveKit's as well, so that neither overlaps with the
// end of LiveKit itself.
var (
	RedisKilled  = Link(LiveKit, "redis")
	RedisStalled = Link(LiveKit, "redis-stalled")
)

// The lies that are told about rooms.
const (
	UnlistedRooms  = "unlisted-rooms"  // rooms are left out of the listing of rooms, and no deletion finds them
	UnlistedPeople = "unlisted-people" // participants are left out of the listings of their rooms
	Stale          = "stale"           // rooms and participants are listed as they were when the lie began
	NotFound       = "not-found"       // what is to be removed, changed or deleted is not found
	Unavailable    = "unavailable"     // every question about a room fails
	Late           = "late"            // every answer about a room takes long
	Clock          = "clock"           // the times of rooms and participants are those of another clock
)

// Replica names one of a service's replicas, from 1 on.
func Replica(service string, n int) string { return fmt.Sprintf("%s-%d", service, n) }

// Link names the connections of one to another.
func Link(from, to string) string { return from + ">" + to }

// Everything is what a run with so many replicas of each service can have break.
func Everything(replicas int) Targets {
	var processes, links []string
	for _, service := range []string{Sessions, Bridge} {
		for n := range replicas {
			one := Replica(service, n+1)
			processes = append(processes, one)
			links = append(links, Link(one, Database), Link(one, Broker))
		}
	}
	for n := range replicas {
		links = append(links,
			Link(Replica(Bridge, n+1), LiveKit), Link(Users, Replica(Sessions, n+1)), Link(Webhooks, Replica(Bridge, n+1)))
	}
	return Targets{
		Kill:     slices.Concat(processes, []string{Broker, Database, LiveKit, Orchestrator}),
		Roll:     {Sessions, Bridge},
		Pause:    processes,
		Cut:      links,
		Slow:     links,
		HalfOpen: links,
		Fill:     {Database, Broker},
		Lie:      {UnlistedRooms, UnlistedPeople, Stale, NotFound, Unavailable, Late, Clock},
		Redis:    {LiveKit, RedisKilled, RedisStalled},
	}
}

// Only leaves the kinds named.
func (t Targets) Only(kinds ...Kind) Targets {
	left := Targets{}
	for _, kind := range kinds {
		left[kind] = t[kind]
	}
	return left
}

// How long faults last, and how far they are apart: from and up to. A pause is longer than the
// longest lease, the 20 s of a window to be ended. Up to three go on at once.
var (
	lasts = map[Kind][2]time.Duration{
		Kill: {200 * time.Millisecond, 4 * time.Second}, Pause: {21 * time.Second, 25 * time.Second}, Roll: {},
		Cut: {200 * time.Millisecond, 6 * time.Second}, Slow: {4 * time.Second, 12 * time.Second},
		HalfOpen: {3 * time.Second, 15 * time.Second}, Fill: {4 * time.Second, 12 * time.Second},
		Lie: {8 * time.Second, 20 * time.Second}, Redis: {500 * time.Millisecond, 8 * time.Second},
	}
	apart = [2]time.Duration{1500 * time.Millisecond, 7 * time.Second}
)

const atOnce = 3

// New makes the schedule of a run that lasts so long. Kinds come in shuffled decks, so that each
// comes as often as the others; so do the targets of each kind. No two faults of one target
// overlap, those of its links and replicas included. Every fault is over when the run is.
func New(seed uint64, length time.Duration, targets Targets) []Fault {
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // It has to be the same each time.
	kinds := newDeck(random, presentIn(targets))
	of := map[Kind]*deck[string]{}
	for _, kind := range kinds.all {
		of[kind] = newDeck(random, targets[kind])
	}
	var all []Fault
	at := between(random, apart)
	for ; at < length; at += between(random, apart) {
		fault := Fault{At: at}
		if concurrent(all, at) >= atOnce {
			continue
		}
		free := func(target string) bool {
			fault.Target = target
			return !slices.ContainsFunc(all, fault.disturbs)
		}
		fault.Kind = kinds.draw(func(kind Kind) bool {
			fault.Kind, fault.Lasts = kind, lasts[kind][1]
			return fault.end() <= length && slices.ContainsFunc(of[kind].left, free)
		})
		if fault.Kind == "" {
			continue // None fits now.
		}
		fault.Lasts = between(random, lasts[fault.Kind])
		fault.Target = of[fault.Kind].draw(free)
		all = append(all, fault)
	}
	return all
}

// rollTakes is how long a roll is taken to last where faults must not overlap.
const rollTakes = 15 * time.Second

func (f Fault) end() time.Duration {
	if f.Kind == Roll {
		return f.At + rollTakes
	}
	return f.At + f.Lasts
}

func (f Fault) overlaps(g Fault) bool { return f.At < g.end() && g.At < f.end() || f.At == g.At }

// disturbs says whether two faults are about the same at the same time. The bridge could not
// see through two lies that agree.
func (f Fault) disturbs(g Fault) bool {
	return f.overlaps(g) && (f.Kind == Lie && g.Kind == Lie || about(f.Target, g.Target) || about(g.Target, f.Target))
}

// about says whether a target is another, a link of it, or one of its replicas.
func about(a, b string) bool {
	from, to, _ := strings.Cut(a, ">")
	return a == b || strings.HasPrefix(a, b+"-") || from == b || to == b || strings.HasPrefix(from, b+"-") || strings.HasPrefix(to, b+"-")
}

// concurrent is how many go on at a time.
func concurrent(all []Fault, at time.Duration) int {
	n := 0
	for _, other := range all {
		if other.At <= at && at < other.end() {
			n++
		}
	}
	return n
}

// presentIn lists the kinds that have targets, in an order that is always the same.
func presentIn(targets Targets) []Kind {
	return slices.DeleteFunc(slices.Clone(Kinds), func(kind Kind) bool { return len(targets[kind]) == 0 })
}

func between(random *rand.Rand, bounds [2]time.Duration) time.Duration {
	if bounds[0] == bounds[1] {
		return bounds[0]
	}
	return bounds[0] + time.Duration(random.Int64N(int64(bounds[1]-bounds[0])))
}

// deck gives its cards in a random order, and all of them again before any comes a second time.
type deck[Card comparable] struct {
	random *rand.Rand
	all    []Card
	left   []Card
}

func newDeck[Card comparable](random *rand.Rand, all []Card) *deck[Card] {
	d := &deck[Card]{random: random, all: all}
	d.shuffle()
	return d
}

func (d *deck[Card]) shuffle() {
	d.left = slices.Clone(d.all)
	d.random.Shuffle(len(d.left), func(i, j int) { d.left[i], d.left[j] = d.left[j], d.left[i] })
}

// draw takes the next card that is wanted; the zero value where none is. Those passed over stay.
func (d *deck[Card]) draw(wanted func(Card) bool) Card {
	for i, card := range d.left {
		if wanted(card) {
			d.left = slices.Delete(d.left, i, i+1)
			if len(d.left) == 0 {
				d.shuffle()
			}
			return card
		}
	}
	var none Card
	return none
}

// Step is one thing to do at a time: begin a fault or end it.
type Step struct {
	At    time.Duration
	Fault Fault
	End   bool
}

// Steps are the begins and ends of faults in the order of their times. A Roll has no end of its
// own.
func Steps(faults []Fault) []Step {
	var steps []Step
	for _, f := range faults {
		steps = append(steps, Step{At: f.At, Fault: f})
		if f.Kind != Roll {
			steps = append(steps, Step{At: f.At + f.Lasts, Fault: f, End: true})
		}
	}
	slices.SortStableFunc(steps, func(a, b Step) int { return cmp.Compare(a.At, b.At) })
	return steps
}
