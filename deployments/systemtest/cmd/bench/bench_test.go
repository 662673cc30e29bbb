package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const measured = `goos: linux
BenchmarkCreate/use_case-2  2  827641856 ns/op  1139 batched/s  600 creates/s  0.53 of-batched  0.66 of-raw  965 raw/s
BenchmarkCreate/use_case-2  2  827641856 ns/op  1139 batched/s  620 creates/s  0.54 of-batched  0.72 of-raw  965 raw/s
BenchmarkCreate/use_case-2  2  827641856 ns/op  1139 batched/s  640 creates/s  0.55 of-batched  0.73 of-raw  965 raw/s
BenchmarkCreate/use_case-2  2  827641856 ns/op  1139 batched/s  610 creates/s  0.56 of-batched  0.71 of-raw  965 raw/s
BenchmarkCreate/use_case-2  2  827641856 ns/op  1139 batched/s  630 creates/s  0.57 of-batched  0.75 of-raw  965 raw/s
BenchmarkEvents/bound/replicas=1-2  1  1 ns/op  1000 events/s  2000 floor/s  0.5 of-floor
BenchmarkEvents/bound/replicas=1-2  1  1 ns/op  900 events/s  2000 floor/s  0.45 of-floor
BenchmarkEvents/bound/replicas=2-2  1  1 ns/op  1500 events/s  2000 floor/s  0.75 of-floor
BenchmarkEvents/bound/replicas=2-2  1  1 ns/op  1800 events/s  2000 floor/s  0.9 of-floor
BenchmarkOpenStreams/streams=10000  1  1 ns/op  450 after-MiB
BenchmarkGrowth/get-2  1  1107704069 ns/op  1.175 100k-of-1k  405.9 100k-us  1.031 1M-of-1k  356.2 1M-us  345.4 1k-us
`

// find returns the only figure like that.
func find(t *testing.T, all []figure, what, floorIs string) figure {
	t.Helper()
	var found []figure
	for _, f := range all {
		if f.What == what && f.FloorIs == floorIs {
			found = append(found, f)
		}
	}
	require.Len(t, found, 1)
	return found[0]
}

func TestFiguresAreMediansWithTheirSpread(t *testing.T) {
	results, err := read([]byte(measured))
	require.NoError(t, err)
	all := results.figures()
	create := find(t, all, "use case", "the statements by pgx, one by one")
	require.Equal(t, spread{Median: 0.72, Low: 0.66, High: 0.75, Confidence: 0.9375, Repetitions: 5}, *create.Ratio)
	require.Equal(t, spread{Median: 620, Low: 600, High: 640, Confidence: 0.9375, Repetitions: 5}, *create.Product)
	require.Equal(t, "≥ 0.7", create.Promise)
	require.Equal(t, "yes by the median, not all through the spread", create.Verdict)
	require.Equal(t, "0.55 (0.53–0.57)", find(t, all, "use case", "the statements by pgx, batched").Ratio.in(""))
}

func TestRatiosOfTwoBenchmarksAreTakenRepetitionByRepetition(t *testing.T) {
	results, err := read([]byte(measured))
	require.NoError(t, err)
	more := find(t, results.figures(), "with 2 of each, each on 0.15 of a core", "with 1 of each")
	require.InDelta(t, 1.5, more.Ratio.Low, 1e-9)
	require.InDelta(t, 2, more.Ratio.High, 1e-9)
	require.Equal(t, "yes", more.Verdict)
}

func TestAFigureWithoutAFloorIsJudgedItself(t *testing.T) {
	results, err := read([]byte(measured))
	require.NoError(t, err)
	memory := find(t, results.figures(), "10,000 open: the service's memory", "")
	require.Nil(t, memory.Ratio)
	require.Equal(t, "≤ 400", memory.Promise)
	require.Equal(t, "no", memory.Verdict)
	require.Equal(t, "450 MiB", memory.Product.in(memory.Unit))
}

func TestGrowthIsHeldAgainstTheSmallest(t *testing.T) {
	results, err := read([]byte(measured))
	require.NoError(t, err)
	million := find(t, results.figures(), "get, 1,000,000 sessions stored", "1,000 stored")
	require.Equal(t, "356 µs", million.Product.in(million.Unit))
	require.Equal(t, "345 µs", million.Floor.in(million.Unit))
	require.Equal(t, "1.03", million.Ratio.in(""))
	require.Equal(t, "yes", million.Verdict)
}

func TestVerdicts(t *testing.T) {
	for want, s := range map[string]spread{
		"yes": {Median: 1.1, Low: 1, High: 1.2},
		"no":  {Median: 1.4, Low: 1.3, High: 1.5},
		"yes by the median, not all through the spread": {Median: 1.1, Low: 1, High: 1.3},
		"no by the median, within the spread":           {Median: 1.3, Low: 1.1, High: 1.5},
	} {
		require.Equal(t, want, verdict(*atMost(1.2), s))
	}
}

func TestResultsThatCannotBeReadAreAnError(t *testing.T) {
	for _, text := range []string{"", "goos: linux\n", "BenchmarkCreate/store 1 x creates/s\n"} {
		_, err := read([]byte(text))
		require.Error(t, err, text)
	}
}

func TestArguments(t *testing.T) {
	s, err := parse([]string{"-only", "create, get", "-repeat", "3", "-images", "sessions=a,bridge=b"}, t.Output())
	require.NoError(t, err)
	require.Equal(t, []string{"create", "get"}, s.only)
	require.Equal(t, map[string]string{"sessions": "a", "bridge": "b"}, s.images)
	require.False(t, s.whole())
	s, err = parse(nil, t.Output())
	require.NoError(t, err)
	require.True(t, s.whole())
	require.True(t, strings.HasSuffix(s.folder(true), filepath.Join("systemtest", "bench")))
	require.True(t, strings.HasSuffix(s.folder(false), filepath.Join(".run", "bench")))
	for _, args := range [][]string{{"-only", "speed"}, {"-repeat", "0"}, {"-images", "sessions"}, {"-nothing"}} {
		_, err = parse(args, t.Output())
		require.Error(t, err, args)
	}
}

// TestASuiteIsRunAndItsResultsKept runs benchmarks of a module that is made here, one that measures and one that fails.
func TestASuiteIsRunAndItsResultsKept(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod": "module example.com/m\n",
		"m_test.go": `package m
import "testing"
func BenchmarkMeasures(b *testing.B) { for b.Loop() {}; b.ReportMetric(7, "x/s") }
func BenchmarkFails(b *testing.B) { b.Fatal("broken on purpose") }`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o600))
	}
	t.Setenv("GOWORK", "off")
	var told strings.Builder
	r := &runner{settings: settings{root: root, repeat: 2}, stdout: &told, began: time.Now()}
	good := suite{name: "good", benchtime: "1x", timeout: time.Minute, parts: []part{{"measures", "BenchmarkMeasures"}, {"fails", "BenchmarkFails"}}}
	require.NoError(t, r.suite(t.Context(), good.only([]string{"measures"})))
	results, err := read(r.raw.Bytes())
	require.NoError(t, err)
	require.Equal(t, []float64{7, 7}, results[metric{"BenchmarkMeasures", "x/s"}])
	require.Contains(t, told.String(), "BenchmarkMeasures")
	require.ErrorContains(t, r.suite(t.Context(), good.only([]string{"fails"})), "broken on purpose")
}

// TestEveryRowIsOfABenchmark holds the table to the benchmarks that there are: a renamed one would silently leave it.
func TestEveryRowIsOfABenchmark(t *testing.T) {
	root := filepath.Join("..", "..", "..", "..")
	defined := map[string]bool{"BenchmarkImage": true}
	for _, suite := range suites {
		files, err := filepath.Glob(filepath.Join(root, suite.module, suite.pkg, "*_test.go"))
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, p := range suite.parts {
				defined[p.bench] = defined[p.bench] || strings.Contains(string(text), "\nfunc "+p.bench+"(b *testing.B)")
			}
		}
	}
	names := partNames()
	for _, row := range rows() {
		require.Contains(t, names, row.part)
		for _, m := range []metric{row.product, row.floor, row.ratio} {
			if m.bench != "" {
				top, _, _ := strings.Cut(m.bench, "/")
				require.True(t, defined[top], m.bench)
			}
		}
	}
}

func TestTheMachineIsDescribedWithoutItsName(t *testing.T) {
	root := filepath.Join("..", "..", "..", "..")
	m, err := describe(t.Context(), root)
	require.NoError(t, err)
	require.NotEmpty(t, m.CPU)
	require.Positive(t, m.Cores)
	require.Positive(t, m.Memory)
	require.Contains(t, m.Postgres, "17")
	text, err := json.Marshal(m)
	require.NoError(t, err)
	host, err := os.Hostname()
	require.NoError(t, err)
	require.NotContains(t, string(text), host)
}

func TestWhatIsWrittenCanBeRead(t *testing.T) {
	results, err := read([]byte(measured))
	require.NoError(t, err)
	folder := filepath.Join(t.TempDir(), "bench")
	written := report{Machine: machine{CPU: "a", Cores: 2}, Repetitions: 5, Figures: results.figures()}
	require.NoError(t, write(folder, written, []byte(measured)))
	text, err := os.ReadFile(filepath.Join(folder, jsonFile))
	require.NoError(t, err)
	var again report
	require.NoError(t, json.Unmarshal(text, &again))
	require.Equal(t, written, again)
	page, err := os.ReadFile(filepath.Join(folder, markdownFile))
	require.NoError(t, err)
	require.Contains(t, string(page), "| create | use case | 620/s (600–640) | the statements by pgx, one by one: 965/s (965–965) | 0.72 (0.66–0.75) | ≥ 0.7 |")
}

func TestCommandTellsWhatIsWrong(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "bench")
	said, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", said)
	said, err = exec.CommandContext(t.Context(), binary, "-only", "speed").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(said), `there is no part "speed"; the parts are: create, get`)
}
