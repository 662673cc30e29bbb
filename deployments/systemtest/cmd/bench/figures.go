package main

import "fmt"

// metric is one figure of a benchmark.
type metric struct{ bench, unit string }

// row is what the table tells of: a figure of the product, that of its floor, and their ratio. The floor and the ratio may be missing.
type row struct {
	part, what     string
	product, floor metric
	floorIs        string // what the floor does
	ratio          metric // as the benchmark reports it; without a bench it is product to floor, repetition by repetition
	promise        *promise
}

// promise is what the ratio, or where there is none the product's figure, must come to.
type promise struct {
	atLeast bool
	limit   float64
}

func atLeast(limit float64) *promise { return &promise{atLeast: true, limit: limit} }

func atMost(limit float64) *promise { return &promise{limit: limit} }

// kept says whether a figure is as promised.
func (p promise) kept(figure float64) bool {
	if p.atLeast {
		return figure >= p.limit
	}
	return figure <= p.limit
}

func (p promise) String() string {
	if p.atLeast {
		return "≥ " + number(p.limit)
	}
	return "≤ " + number(p.limit)
}

// What is promised.
var (
	createOfRaw   = atLeast(0.7)
	latencyFloors = atMost(1.5)
	latencyTail   = atMost(10)
	flat          = atMost(1.2)
	streamsMemory = atMost(400)
	moreReplicas  = atLeast(1)
)

// byTurns is a row of a benchmark that reports figure, floor and ratio itself.
func byTurns(part, what, bench, unit, floorIs, floor, ratio string, p *promise) row {
	return row{
		part: part, what: what, product: metric{bench, unit}, floorIs: floorIs, floor: metric{bench, floor}, ratio: metric{bench, ratio}, promise: p,
	}
}

// alone is a row without a floor.
func alone(part, what, bench, unit string, p *promise) row {
	return row{part: part, what: what, product: metric{bench, unit}, promise: p}
}

// rows are those of the table, in its order.
func rows() []row {
	var all []row
	all = append(all, createRows()...)
	all = append(all,
		byTurns("get", "store", "BenchmarkGet/store", "gets/s", "the statement by pgx", "raw/s", "of-raw", nil),
		byTurns("get", "over HTTP", "BenchmarkGet/http", "gets/s", "the statement by pgx", "raw/s", "of-raw", nil),
		byTurns("list", "store, 50 sessions", "BenchmarkListPage/store", "pages/s", "the statement by pgx", "raw/s", "of-raw", nil),
		byTurns("list", "over HTTP, 50 sessions", "BenchmarkListPage/http", "pages/s", "the statement by pgx", "raw/s", "of-raw", nil),
	)
	const minted = "minting and one commit"
	for _, atOnce := range []string{"1", "16"} {
		bench := "BenchmarkTokens/" + atOnce + "_at_once"
		all = append(all,
			byTurns("token", "p50, "+atOnce+" at once", bench, "p50-ms", minted, "floor-p50-ms", "ratio", nil),
			row{
				part: "token", what: "rate, " + atOnce + " at once", product: metric{bench, "tokens/s"}, floorIs: minted, floor: metric{bench, "floor/s"},
			})
	}
	all = append(all, latencyRows()...)
	all = append(all, eventRows()...)
	all = append(all, streamRows()...)
	all = append(all, growthRows()...)
	for _, service := range []string{"sessions", "bridge"} {
		all = append(all,
			alone("start", service+": until ready", "BenchmarkStart/"+service, "ready-ms", nil),
			alone("start", service+": memory when idle", "BenchmarkStart/"+service, "idle-MiB", nil))
	}
	for _, service := range []string{"sessions", "bridge"} {
		all = append(all, alone(imagesPart, service, "BenchmarkImage/"+service, "image-MiB", nil))
	}
	return all
}

func createRows() []row {
	var all []row
	for _, c := range []struct{ what, bench string }{
		{"store", "store"}, {"use case", "use_case"}, {"use case, with a key", "use_case_with_a_key"},
		{"over HTTP", "http"}, {"over HTTP, with a key", "http_with_a_key"},
	} {
		bench := "BenchmarkCreate/" + c.bench
		all = append(all,
			byTurns("create", c.what, bench, "creates/s", "the statements by pgx, one by one", "raw/s", "of-raw", createOfRaw),
			byTurns("create", c.what, bench, "creates/s", "the statements by pgx, batched", "batched/s", "of-batched", nil))
	}
	return all
}

func latencyRows() []row {
	const idle, loaded, floor = "BenchmarkWebhookToStream/idle", "BenchmarkWebhookToStream/loaded", "two commits, one confirmed publish"
	return []row{
		byTurns("latency", "webhook → stream, p50", idle, "p50-ms", floor, "floor-p50-ms", "ratio", latencyFloors),
		{part: "latency", what: "webhook → stream, p99", product: metric{idle, "p99-ms"}, floorIs: floor, floor: metric{idle, "floor-p99-ms"}},
		byTurns("latency", "under load, p50", loaded, "p50-ms", floor+", under the same load", "floor-p50-ms", "ratio", nil),
		byTurns("latency", "under load, p99", loaded, "p99-ms", "its own p50", "p50-ms", "p99-of-p50", latencyTail),
		{
			part: "latency", what: "under load, p99", product: metric{loaded, "p99-ms"}, floorIs: "p50 without load", floor: metric{idle, "p50-ms"},
			promise: latencyTail,
		},
		{
			part: "latency", what: "under load, rate", product: metric{loaded, "webhooks/s"}, floorIs: floor + ", under the same load",
			floor: metric{loaded, "floor/s"},
		},
	}
}

func eventRows() []row {
	var all []row
	const bare = "a bare consumer that commits"
	for _, replicas := range []string{"1", "2"} {
		all = append(all, byTurns("events", "bridge → session, "+replicas+" of each", "BenchmarkEvents/replicas="+replicas, "events/s", bare,
			"floor/s", "of-floor", nil))
	}
	for _, c := range []struct {
		what, bench string
		promise     *promise
	}{{"with 2 of each", "BenchmarkEvents", nil}, {"with 2 of each, each on 0.15 of a core", "BenchmarkEvents/bound", moreReplicas}} {
		all = append(all, row{
			part: "events", what: c.what, product: metric{c.bench + "/replicas=2", "events/s"}, floorIs: "with 1 of each",
			floor: metric{c.bench + "/replicas=1", "events/s"}, promise: c.promise,
		})
	}
	return all
}

func streamRows() []row {
	var all []row
	for _, c := range []struct {
		count, words string
		promise      *promise
	}{{"1000", "1,000", nil}, {"5000", "5,000", nil}, {"10000", "10,000", streamsMemory}} {
		bench := "BenchmarkOpenStreams/streams=" + c.count
		all = append(all,
			alone("streams", c.words+" open: memory of one", bench, "KiB/stream", nil),
			alone("streams", c.words+" open: the service's memory", bench, "after-MiB", c.promise),
			row{
				part: "streams", what: c.words + " open: change → streams, p50", product: metric{bench, "p50-ms"},
				floorIs: "the change's answer", floor: metric{bench, "change-p50-ms"},
			})
	}
	return all
}

func growthRows() []row {
	var all []row
	for _, do := range []string{"create", "get", "list", "append", "replay"} {
		for _, size := range []struct{ name, words string }{{"100k", "100,000"}, {"1M", "1,000,000"}} {
			bench := "BenchmarkGrowth/" + do
			all = append(all, byTurns("growth", fmt.Sprintf("%s, %s sessions stored", do, size.words), bench, size.name+"-us", "1,000 stored", "1k-us",
				size.name+"-of-1k", flat))
		}
	}
	return all
}
