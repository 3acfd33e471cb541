//go:build realtyk

package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/phantomgate/phantomgate/plugins/plugintest"
)

// TestRealLoad measures what Tyk spends on a request: without a plugin, with one that does nothing, with one that only puts as
// long a header as a phantom token in the place of the reference, and with ours, its token cached and the feed on. They take
// turns in one gateway process, all are sent the same request, and the figures are medians of the rounds' ratios. It fails on
// nothing but an answer that is not 200: what was measured is for docs/figures.md.
//
// The client and the API share the gateway's processors. So requests a second are nearer to each other than the gateways are;
// the processor time is the gateway's alone.
func TestRealLoad(t *testing.T) {
	// A round has many short turns: what else the machine does changes little from one to the next, and each gets its part of it.
	rounds, turns, requests := 15, 8, 500
	if v, err := strconv.Atoi(os.Getenv("TYK_ROUNDS")); err == nil {
		rounds = v
	}
	t.Setenv("TYK_LOGLEVEL", "error") // as in production; at debug Tyk writes a dozen lines for a request
	w := newTykWalk(t)
	reference := w.token("alice", "mobile")
	api := newLoadedUpstream(t)
	paths, l := w.loadVariants(api.URL), newLoader(t, w.url, reference)
	for _, pair := range [][2]string{{"noop-swap-pre", "ours-pre"}, {"noop-swap-auth", "ours-auth"}} {
		var sent [2]int
		for i, name := range pair {
			l.load(paths[name], 1)
			sent[i] = int(api.authorization.Load())
		}
		if d := sent[0] - sent[1]; d < -20 || d > 20 {
			t.Fatalf("%s puts in %d bytes, a phantom token has %d", pair[0], sent[0], sent[1])
		}
	}
	names := []string{"keyless", "noop-pre", "noop-swap-pre", "ours-pre", "noop-auth", "noop-swap-auth", "ours-auth"}
	cost, wall := map[string][]float64{}, map[string][]float64{}
	for round := range rounds + 1 {
		spent, took := map[string]float64{}, map[string]float64{}
		for range turns {
			// In an order of its own, so that nobody comes always after the same one.
			for _, i := range rand.Perm(len(names)) {
				before, start := w.processorTime(), time.Now()
				l.load(paths[names[i]], requests)
				took[names[i]] += time.Since(start).Seconds()
				spent[names[i]] += w.processorTime() - before
			}
		}
		for _, name := range names {
			if round > 0 { // the first is for warming up
				cost[name] = append(cost[name], spent[name]/float64(turns*requests))
				wall[name] = append(wall[name], took[name]/float64(turns*requests))
			}
		}
	}
	for _, name := range names {
		low, middle, high := quartiles(cost[name])
		_, each, _ := quartiles(wall[name])
		t.Logf("%-14s %.1f µs of processor time a request (%.1f to %.1f), %.0f requests/s", name, middle*1e6, low*1e6, high*1e6, 1/each)
	}
	for _, pair := range [][2]string{
		{"noop-pre", "ours-pre"}, {"noop-swap-pre", "ours-pre"}, {"noop-pre", "noop-swap-pre"},
		{"noop-auth", "ours-auth"}, {"noop-swap-auth", "ours-auth"}, {"noop-auth", "noop-swap-auth"},
		{"keyless", "noop-pre"}, {"keyless", "noop-swap-pre"}, {"keyless", "ours-pre"}, {"keyless", "ours-auth"},
	} {
		t.Logf("%-27s processor time %s, throughput %s", pair[0]+" / "+pair[1], ratios(cost, pair), ratios(wall, pair))
	}
	if n := w.issuer.AskedAbout(reference); n > 20 {
		t.Errorf("the issuer was asked %d times: the token was not cached", n)
	}
}

// ratios returns the median and the middle half of the rounds' ratios, and that of all rounds together: the gateway collects its
// garbage about once in a turn, in whose turn it happens to be.
func ratios(took map[string][]float64, pair [2]string) string {
	var all []float64
	var sums [2]float64
	for i, v := range took[pair[0]] {
		all = append(all, v/took[pair[1]][i])
		sums[0], sums[1] = sums[0]+v, sums[1]+took[pair[1]][i]
	}
	low, middle, high := quartiles(all)
	return fmt.Sprintf("%.3f (%.3f to %.3f; all %.3f)", middle, low, high, sums[0]/sums[1])
}

func quartiles(values []float64) (low, middle, high float64) {
	s := slices.Sorted(slices.Values(values))
	return s[len(s)/4], s[len(s)/2], s[len(s)*3/4]
}

// loadVariants loads an API for each plugin that is compared, and returns their paths.
func (w *tykWalk) loadVariants(upstream string) map[string]string {
	noop, ours := buildNoop(w.t), os.Getenv("TYK_PLUGIN")
	paths := map[string]string{}
	add := func(name, symbol, plugin string, pre bool) {
		paths[name] = "/" + name + plugintest.Events
		w.add(false, func(d map[string]any) {
			d["api_id"], d["name"] = name, name
			d["proxy"] = map[string]any{"listen_path": "/" + name + "/", "target_url": upstream, "strip_listen_path": true}
			config := at(d, "config_data")
			delete(at(config, "issuer"), "noFeed")
			delete(config, "cache")
			config["routes"] = []any{map[string]any{"path": paths[name], "audience": "eventcatalog", "scopes": map[string]any{"all": []string{"eventcatalog.read"}}}}
			entry := map[string]any{"name": symbol, "path": plugin}
			switch {
			case plugin == "":
				d["use_keyless"] = true
				delete(d, "custom_middleware")
				delete(d, "config_data")
			case pre:
				d["use_keyless"] = true
				d["custom_middleware"] = map[string]any{"driver": "goplugin", "pre": []any{entry}}
			default:
				d["custom_middleware"] = map[string]any{"driver": "goplugin", "auth_check": entry}
			}
		})
	}
	add("keyless", "", "", true)
	add("noop-pre", "NoopPre", noop, true)
	add("noop-swap-pre", "NoopSwapPre", noop, true)
	add("ours-pre", preSymbol, ours, true)
	add("noop-auth", "NoopAuth", noop, false)
	add("noop-swap-auth", "NoopSwapAuth", noop, false)
	add("ours-auth", authSymbol, ours, false)
	return paths
}

// loadedUpstream is an API that remembers nothing but how long the last Authorization header was: the suite's keeps every
// request, and the load would be measured beside a growing heap.
type loadedUpstream struct {
	URL           string
	authorization atomic.Int64
}

func newLoadedUpstream(t *testing.T) *loadedUpstream {
	u := &loadedUpstream{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.authorization.Store(int64(len(r.Header.Get("Authorization"))))
		_, _ = io.WriteString(w, "from upstream")
	}))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	u.URL = server.URL
	return u
}

// loader asks by 32 connections, the same ones for all variants.
type loader struct {
	t           *testing.T
	client      *http.Client
	url, bearer string
}

func newLoader(t *testing.T, url, token string) *loader {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	t.Cleanup(client.CloseIdleConnections)
	return &loader{t, client, url, "Bearer " + token}
}

func (l *loader) load(path string, requests int) {
	var left atomic.Int64
	left.Store(int64(requests))
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			for left.Add(-1) >= 0 {
				r, _ := http.NewRequest("GET", l.url+path, nil)
				r.Header.Set("Authorization", l.bearer)
				response, err := l.client.Do(r)
				if err != nil {
					l.t.Error(err)
					return
				}
				body, _ := io.ReadAll(response.Body)
				response.Body.Close()
				if response.StatusCode != 200 {
					l.t.Errorf("%s: %d %s", path, response.StatusCode, body)
					return
				}
			}
		})
	}
	workers.Wait()
}

// processorTime returns the seconds of processor time that the gateway has spent, by its own clock (clock_getcpuclockid(3)):
// /proc counts in hundredths, of which a turn has about a hundred.
func (w *tykWalk) processorTime() float64 {
	var spent syscall.Timespec
	clock := ^w.cmd.Process.Pid<<3 | 2
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, uintptr(clock), uintptr(unsafe.Pointer(&spent)), 0); errno != 0 {
		w.t.Fatal(errno)
	}
	return float64(spent.Nano()) / 1e9
}

// buildNoop builds the plugin that does nothing for the same gateway.
func buildNoop(t *testing.T) string {
	t.Helper()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	noop := filepath.Join(work, "noop.so")
	for _, args := range [][]string{
		{"work", "init", here + "/testdata/noop", os.Getenv("TYK_SRC")},
		{"build", "-C", here + "/testdata/noop", "-buildmode=plugin", "-trimpath", "-tags=goplugin", "-o", noop, "."},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir = work
		cmd.Env = append(os.Environ(), "GOFLAGS=", "CGO_ENABLED=1", "GOWORK=")
		if args[0] == "build" {
			cmd.Env = append(cmd.Env, "GOWORK="+work+"/go.work")
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	return noop
}
