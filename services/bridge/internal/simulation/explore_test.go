package simulation_test

import (
	"fmt"
	"os"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/callplane/callplane/services/bridge/internal/simulation"
)

var names = regexp.MustCompile(`(alice|bob|carol)#default`)
var sids = regexp.MustCompile(`[A-Z]{2}_\d+`)

func signature(problems []string) string {
	seen := map[string]bool{}
	for _, p := range problems {
		p = names.ReplaceAllString(p, "X")
		p = sids.ReplaceAllString(p, "SID")
		if i := strings.Index(p, "{"); i > 0 {
			p = p[:i]
		}
		seen[p] = true
	}
	var list []string
	for p := range seen {
		list = append(list, p)
	}
	sort.Strings(list)
	return strings.Join(list, " | ")
}

var lastFailing = map[string]simulation.Outcome{}

func shrink(t *testing.T, s simulation.Schedule, sig string) simulation.Schedule {
	try := func(c simulation.Schedule) bool {
		got := simulation.Run(t, c)
		if len(got.Problems) > 0 && signature(got.Problems) == sig {
			lastFailing[sig] = got
			return true
		}
		return false
	}
	for changed := true; changed; {
		changed = false
		for n := len(s.Steps) - 1; n >= 0; n-- {
			c := s
			c.Steps = append(append([]simulation.Step{}, s.Steps[:n]...), s.Steps[n+1:]...)
			if try(c) {
				s, changed = c, true
				continue
			}
			if s.Steps[n].After > 0 {
				c.Steps = append([]simulation.Step{}, s.Steps...)
				c.Steps[n].After = 0
				if try(c) {
					s, changed = c, true
				}
			}
			if s.Steps[n].By > 0 {
				c.Steps = append([]simulation.Step{}, s.Steps...)
				c.Steps[n].By = 0
				if try(c) {
					s, changed = c, true
				}
			}
		}
	}
	c := s
	c.Redis = false
	if s.Redis && try(c) {
		s = c
	}
	return s
}

func TestExplore(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("EXPLORE"))
	if n == 0 {
		t.Skip()
	}
	from, _ := strconv.Atoi(os.Getenv("FROM"))
	g := rapid.Custom(anySchedule)
	found := map[string][]simulation.Schedule{}
	for i := range n {
		s := g.Example(from + i)
		o := simulation.Run(t, s)
		kind := ""
		for _, step := range s.Steps {
			if strings.Contains(string(step.Lie), "fails") || step.Lie == "away" || strings.Contains(string(step.Lie), "lost") || step.Lie == "rooms fail" || step.Lie == "slow" || strings.Contains(string(step.Lie), "not found") {
				kind = "-fails"
			}
		}
		if s.Redis {
			kind += "-redis"
		}
		fmt.Printf("SETTLED %v seed %d%s\nENDED %v seed %d%s\n", o.Calls[0].Settling.Presence, from+i, kind, o.Calls[0].Settling.End, from+i, kind)
		if len(o.Problems) > 0 {
			lastFailing[signature(o.Problems)] = o
			found[signature(o.Problems)] = append(found[signature(o.Problems)], s)
		}
	}
	for sig, list := range found {
		sort.Slice(list, func(i, j int) bool { return len(list[i].Steps) < len(list[j].Steps) })
		s := shrink(t, list[0], sig)
		o := lastFailing[sig]
		fmt.Printf("=== %d x %s\n%s\n", len(list), sig, s)
		if os.Getenv("TRACE") != "" {
			fmt.Printf("%s\n", o.Log())
		}
	}
}

func TestOne(t *testing.T) {
	n, err := strconv.Atoi(os.Getenv("SEED"))
	if err != nil {
		t.Skip()
	}
	s := rapid.Custom(anySchedule).Example(n)
	o := simulation.Run(t, s)
	fmt.Printf("%s\n%s\nsettled %v ended %v %v\n", s, o.Log(), o.Calls[0].Settling.Presence, o.Calls[0].Settling.End, o.Problems)
}

func TestStats(t *testing.T) {
	if os.Getenv("STATS") == "" {
		t.Skip()
	}
	g := rapid.Custom(anySchedule)
	types := map[string]int{}
	final, connected := 0, 0
	for i := range 500 {
		o := simulation.Run(t, g.Example(700000+i))
		if o.Calls[0].Mapping.Final {
			final++
		}
		if !o.Calls[0].Mapping.ConnectedAt.IsZero() {
			connected++
		}
		for _, e := range o.Calls[0].Journal {
			if e.Event != nil {
				types[strings.Split(strings.Split(string(e.Event), `"type":"`)[1], `"`)[0]]++
			}
		}
	}
	fmt.Println(final, connected, types)
}
