//go:build integration

package chaos

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/callplane/callplane/deployments/systemtest/chaos/checker"
	"github.com/callplane/callplane/deployments/systemtest/chaos/history"
	"github.com/callplane/callplane/deployments/systemtest/chaos/schedule"
	"github.com/callplane/callplane/libs/testkit"
)

var (
	seed    = flag.Uint64("seed", 0, "what the faults are drawn by; 0: by chance")
	minutes = flag.Float64("minutes", 0, "how long faults go on; 0: not at all")
	kinds   = flag.String("kinds", "", "the kinds of faults, by comma; all unless given")
	wrong   = flag.String("sabotage", "", "what is left out of the services, which the run then has to find: "+strings.Join(sabotages(), ", "))
)

// side is how much goes on side by side, however few processors there are: nearly all of it waits.
const side = 64

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", strconv.Itoa(side)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	testkit.Main(m, testkit.LeftByToxiproxy()...)
}

// TestChaos breaks everything under load, and holds what was seen to the checker's rules.
func TestChaos(t *testing.T) {
	if *minutes == 0 {
		t.Skip("everything is broken where that is asked for: make chaos SEED=7 MINUTES=2")
	}
	if *seed == 0 {
		*seed = rand.Uint64N(1_000_000)
	}
	length := time.Duration(*minutes * float64(time.Minute))
	targets := schedule.Everything(replicas)
	if *kinds != "" {
		var some []schedule.Kind
		for _, kind := range strings.Split(*kinds, ",") {
			some = append(some, schedule.Kind(kind))
		}
		targets = targets.Only(some...)
	}
	faults := schedule.New(*seed, length, targets)
	if len(faults) == 0 {
		t.Fatalf("there are no faults of the kinds %q within %s; kinds are %v", *kinds, length, schedule.Kinds)
	}
	t.Logf("SEED=%d MINUTES=%g: %d faults", *seed, *minutes, len(faults))
	for _, f := range faults {
		t.Log(f)
	}
	w := newWorld(t, *wrong, targets)
	t.Run("load", func(t *testing.T) { w.load(t, faults, length) }) // until all of its parts have ended
	w.settle(t)
	w.recorder.Read(func(h *history.History) { w.judge(t, h) })
}

// judge fails the test by each violation, with what is known of its session; where something was left out of the services it fails without one.
func (w *world) judge(t *testing.T, h *history.History) {
	t.Helper()
	t.Log(summary(h))
	found := checker.Check(h)
	told := map[string]bool{}
	for _, v := range found {
		line := fmt.Sprintf("SEED=%d: %s", *seed, v)
		if v.Session != "" && !told[v.Session] && len(told) < timelines {
			line += "\n" + checker.Timeline(h, v.Session)
			told[v.Session] = true
		}
		if *wrong == "" {
			t.Error(line)
		} else {
			t.Log(line)
		}
	}
	if *wrong != "" && len(found) == 0 {
		t.Errorf("nothing was found in services without %s", *wrong)
	}
}

// timelines is how many are told at most.
const timelines = 5

// summary is what was there in the run, in numbers.
func summary(h *history.History) string {
	faults, settings, verdicts := map[string]int{}, map[history.Setting]int{}, map[string]int{}
	for _, f := range h.Faults {
		faults[f.Kind]++
	}
	logged, given, resumed := 0, 0, 0
	statuses := map[string]int{}
	for _, s := range h.Sessions {
		settings[s.Setting]++
		statuses[s.Final.Status]++
		logged += len(s.Log)
	}
	for _, o := range h.Operations {
		verdicts[string(o.Kind)+" "+string(o.Verdict)]++
	}
	for _, s := range h.Streams {
		given += len(s.Seen)
		resumed += s.Resumed
	}
	return fmt.Sprintf("%d faults %v\n%d operations %v\n%d sessions %v %v\n%d events logged, %d published, %d set aside, %d given to %d streams that were resumed %d times\nat most %d attempts, and %s, until an answer; %d listings of LiveKit",
		len(h.Faults), faults, len(h.Operations), verdicts, len(h.Sessions), settings, statuses,
		logged, len(h.Published), len(h.Quarantined), given, len(h.Streams), resumed, h.Attempts, h.Longest.Round(time.Millisecond), len(h.Listings))
}

// sabotages names them.
func sabotages() []string {
	names := make([]string, 0, len(leftOut))
	for name := range leftOut {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
