package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/phantomgate/phantomgate/testbed/figures"
)

// swapBench is a benchmark of plugins/gateway. It has to live there: a configuration may not let tokens live long enough
// in the cache for a million of them to be there at once, and only that package's own tests can say otherwise.
type swapBench struct {
	benchmark, figure string
	goal              float64 // 0: none
	allocations       float64 // how many one may make on the average, rounded down as testing.AllocsPerRun does
	about             string
}

var (
	swap1k     = swapBench{"BenchmarkCachedSwap_1k", "core_swap_1k", 2, 1, "cached swap / (SHA-256 + BigCache Get), 1,000 tokens"}
	cookie     = swapBench{"BenchmarkCachedCookie_1k", "core_cookie_1k", 1.5, 1, "Chromium with cookies / with a bearer token, one gateway, the same 1,000 users"}
	cookiePost = swapBench{"BenchmarkCachedCookiePost_1k", "core_cookie_post_1k", 0, 1, "the same for a POST, whose CSRF header is held against its cookie"}
	swap1M     = swapBench{"BenchmarkCachedSwap_1M", "core_swap_1m", 1.5, 3, "the same, 1,000,000 tokens at random"}
)

func measureSwap(ctx context.Context, l *lab, s settings) ([]figures.Figure, error) {
	var all []figures.Figure
	for _, b := range s.swaps {
		report, err := goBenchmark(ctx, filepath.Join(l.root, "plugins"), "./gateway", b.benchmark, s.swapTurn)
		if err != nil {
			return nil, err
		}
		metrics, err := readBenchmark(report, b.benchmark, swapMetrics...)
		if err != nil {
			return nil, err
		}
		times := figures.Spread{Median: metrics["x-floor"], Low: metrics["x-quarter"], High: metrics["x-threequarters"]}
		ratio := figures.Informative(b.figure, "x", times, b.about)
		if b.goal > 0 {
			ratio = figures.AtMost(b.goal, b.figure, "x", times, b.about)
		}
		all = append(all,
			ratio,
			figures.Informative(b.figure+"_time", "ns", figures.Spread{Median: metrics["ns/swap"]}, "one cached swap"),
			figures.AtMost(b.allocations, b.figure+"_allocations", "allocations", figures.Spread{Median: metrics["allocs/swap"]}, "of one cached swap"),
		)
	}
	return all, nil
}

// mostFeedExtra is how many nanoseconds the feed may add to a cached swap when nothing was revoked since.
const mostFeedExtra = 150

// measureSwapFeed measures what the revocation feed adds to a cached swap.
func measureSwapFeed(ctx context.Context, l *lab, s settings) ([]figures.Figure, error) {
	const benchmark = "BenchmarkCachedSwapFeed_1k"
	report, err := goBenchmark(ctx, filepath.Join(l.root, "plugins"), "./gateway", benchmark, s.swapTurn)
	if err != nil {
		return nil, err
	}
	metrics, err := readBenchmark(report, benchmark, "ns/extra", "ns/quarter", "ns/threequarters", "ns/behind", "ns/without")
	if err != nil {
		return nil, err
	}
	// A difference of two times can come out below nothing, where it is smaller than what else the machine does.
	least := func(v float64) float64 { return max(v, 0.1) }
	extra := figures.Spread{Median: least(metrics["ns/extra"]), Low: least(metrics["ns/quarter"]), High: least(metrics["ns/threequarters"])}
	return []figures.Figure{figures.AtMost(mostFeedExtra, "core_swap_feed_extra", "ns", extra, fmt.Sprintf(
		"what the feed adds to a cached swap of %.0f ns when nothing was revoked since; %.0f when something was", metrics["ns/without"], metrics["ns/behind"]))}, nil
}

// swapMetrics are what a benchmark of the swap must report.
var swapMetrics = []string{"x-floor", "x-quarter", "x-threequarters", "ns/swap", "allocs/swap"}

// goBenchmark runs the benchmark of a package of the module in folder, for so long or so often, and gives what it prints.
func goBenchmark(ctx context.Context, folder, pkg, benchmark, turns string, env ...string) (string, error) {
	test := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", "^"+benchmark+"$", "-benchtime", turns, pkg)
	test.Dir = folder
	test.Env = append(test.Environ(), env...)
	report, err := test.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, report)
	}
	return string(report), nil
}

// readBenchmark finds the metrics of a benchmark in what `go test -bench` prints: its name, how often it ran, then a value
// and a unit for each metric.
func readBenchmark(report, name string, wanted ...string) (map[string]float64, error) {
	for line := range strings.Lines(report) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != name && !strings.HasPrefix(fields[0], name+"-") {
			continue
		}
		metrics := map[string]float64{}
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("%s reports %q", name, line)
			}
			metrics[fields[i+1]] = value
		}
		for _, unit := range wanted {
			if _, ok := metrics[unit]; !ok {
				return nil, fmt.Errorf("%s does not report %s: %q", name, unit, line)
			}
		}
		return metrics, nil
	}
	return nil, fmt.Errorf("%s did not run:\n%s", name, report)
}
