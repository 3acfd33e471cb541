package main

import (
	"strings"
	"testing"
)

// TestQuickMeasuresEverything runs the whole harness with hardly any load, and looks at the shape of what it gives: every
// figure is there, once, has been measured, and a goal's verdict follows from its value. What the values are says nothing.
func TestQuickMeasuresEverything(t *testing.T) {
	var out strings.Builder
	measured, _, err := measure(t.Context(), quickSettings(), &out)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{ // and the goal
		"core_swap_1k": "<= 2", "core_swap_1k_time": "none", "core_swap_1k_allocations": "<= 1",
		"core_swap_feed_extra": "<= 150",
		"core_cookie_1k":       "<= 1.5", "core_cookie_1k_time": "none", "core_cookie_1k_allocations": "<= 1",
		"core_cookie_post_1k": "none", "core_cookie_post_1k_time": "none", "core_cookie_post_1k_allocations": "<= 1",
		"caddy_cached_cpu": ">= 0.95", "caddy_cached_throughput": "none", "caddy_cached_introspections": "none",
		"caddy_cached_p50": "none", "caddy_cached_p99": "none", "caddy_cpu_time": "none",
		"caddy_busy_cpu": "none", "caddy_busy_introspections": "none",
		"introspection_cpu": ">= 0.7", "introspection_throughput": ">= 0.7", "introspection_cpu_time": "none",
		"introspection_rate": "none", "introspection_p50": "none", "introspection_p99": "none",
		"issue_throughput": ">= 0.5", "issue_cpu": ">= 0.5", "issue_shared_throughput": "none", "issue_shared_cpu": "none",
		"revoke_user": "<= 1.5", "revoke_client": "<= 1.5", "revoke_tenant": "<= 1.5",
		"issue_cpu_time": "none", "issue_rate": "none", "issue_p50": "none", "issue_p99": "none",
	}
	for _, f := range measured {
		goal, known := want[f.Name]
		delete(want, f.Name)
		switch {
		case !known:
			t.Errorf("%s: unknown, or there twice", f.Name)
		case f.Goal != goal:
			t.Errorf("%s: the goal is %q, want %q", f.Name, f.Goal, goal)
		case !(f.Value > 0):
			t.Errorf("%s: %v was not measured", f.Name, f.Value)
		case f.Unit == "":
			t.Errorf("%s has no unit", f.Name)
		}
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
}

func TestBenchmarksAreRead(t *testing.T) {
	const line = "BenchmarkX-2  100  3.000 allocs/swap  752.4 ns/floor  1349 ns/swap  1.744 x-floor  1.6 x-quarter  1.8 x-threequarters\n"
	metrics, err := readBenchmark("goos: linux\nBenchmarkXY-2 1 9 x-floor\n"+line+"PASS\n", "BenchmarkX", swapMetrics...)
	if err != nil || metrics["x-floor"] != 1.744 || metrics["allocs/swap"] != 3 {
		t.Errorf("%v, %v", metrics, err)
	}
	for name, report := range map[string]string{
		"another":         strings.Replace(line, "X", "Y", 1),
		"a metric less":   strings.Replace(line, "x-quarter", "x-other", 1),
		"not a number":    strings.Replace(line, "1.744", "fast", 1),
		"nothing at all":  "",
		"only its name":   "BenchmarkX-2\n",
		"it was too slow": "panic: test timed out\n",
	} {
		if metrics, err := readBenchmark(report, "BenchmarkX", swapMetrics...); err == nil {
			t.Errorf("%s: %v", name, metrics)
		}
	}
}

func TestAnUnknownSizeIsRefused(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), "quik", &out); err == nil || !strings.Contains(err.Error(), "quick") {
		t.Errorf("BENCH=quik: %v", err)
	}
}
