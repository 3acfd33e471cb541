//go:build realtyk

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/phantomgate/phantomgate/plugins/plugintest"
)

// TestRealLoad measures the processor time that Tyk spends on a request: without a plugin, with one that does nothing, and with
// ours, its token cached and the feed on. They take turns in one gateway process, and the figures are ratios of medians. It
// fails on nothing but an answer that is not 200: what was measured is for docs/figures.md.
func TestRealLoad(t *testing.T) {
	rounds, requests := 15, 4000
	if v, err := strconv.Atoi(os.Getenv("TYK_ROUNDS")); err == nil {
		rounds = v
	}
	t.Setenv("TYK_LOGLEVEL", "error") // as in production; at debug Tyk writes a dozen lines for a request
	w := newTykWalk(t)
	noop := buildNoop(t)
	reference := w.token("alice", "mobile")
	paths := map[string]string{}
	add := func(name string, change func(d map[string]any)) {
		paths[name] = "/" + name + plugintest.Events
		w.add(false, func(d map[string]any) {
			d["api_id"], d["name"] = name, name
			d["proxy"] = map[string]any{"listen_path": "/" + name + "/", "target_url": w.upstream.URL, "strip_listen_path": true}
			config := at(d, "config_data")
			delete(at(config, "issuer"), "noFeed")
			delete(config, "cache")
			config["routes"] = []any{map[string]any{"path": paths[name], "audience": "eventcatalog", "scopes": map[string]any{"all": []string{"eventcatalog.read"}}}}
			change(d)
		})
	}
	symbol := func(name, path string) map[string]any { return map[string]any{"name": name, "path": path} }
	add("keyless", func(d map[string]any) {
		d["use_keyless"] = true
		delete(d, "custom_middleware")
		delete(d, "config_data")
	})
	add("noop-pre", func(d map[string]any) {
		d["use_keyless"] = true
		d["custom_middleware"] = map[string]any{"driver": "goplugin", "pre": []any{symbol("NoopPre", noop)}}
	})
	add("ours-pre", func(d map[string]any) {
		d["use_keyless"] = true
		d["custom_middleware"] = map[string]any{"driver": "goplugin", "pre": []any{symbol(preSymbol, os.Getenv("TYK_PLUGIN"))}}
	})
	add("noop-auth", func(d map[string]any) {
		d["custom_middleware"] = map[string]any{"driver": "goplugin", "auth_check": symbol("NoopAuth", noop)}
	})
	add("ours-auth", func(d map[string]any) {
		d["custom_middleware"] = map[string]any{"driver": "goplugin", "auth_check": symbol(authSymbol, os.Getenv("TYK_PLUGIN"))}
	})
	names := []string{"keyless", "noop-pre", "ours-pre", "noop-auth", "ours-auth"}
	took := map[string][]float64{}
	for round := range rounds + 1 {
		for _, name := range names {
			cost := w.processorTime(func() { w.load32(paths[name], reference, requests) }) / float64(requests)
			if round > 0 { // the first is for warming up
				took[name] = append(took[name], cost)
			}
		}
	}
	for _, name := range names {
		slices.Sort(took[name])
		t.Logf("%-10s %.1f µs of processor time a request (middle half %.1f to %.1f)", name, took[name][rounds/2]*1e6, took[name][rounds/4]*1e6, took[name][rounds*3/4]*1e6)
	}
	for _, pair := range [][2]string{{"keyless", "ours-pre"}, {"noop-pre", "ours-pre"}, {"noop-auth", "ours-auth"}, {"keyless", "ours-auth"}, {"keyless", "noop-pre"}} {
		t.Logf("%s / %s: %.3f", pair[0], pair[1], took[pair[0]][rounds/2]/took[pair[1]][rounds/2])
	}
	if n := w.issuer.AskedAbout(reference); n > 10 {
		t.Errorf("the issuer was asked %d times: the token was not cached", n)
	}
}

// load32 asks by 32 connections.
func (w *tykWalk) load32(path, token string, requests int) {
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}
	defer client.CloseIdleConnections()
	var left atomic.Int64
	left.Store(int64(requests))
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			for left.Add(-1) >= 0 {
				r, _ := http.NewRequest("GET", w.url+path, nil)
				r.Header.Set("Authorization", "Bearer "+token)
				response, err := client.Do(r)
				if err != nil {
					w.t.Error(err)
					return
				}
				body, _ := io.ReadAll(response.Body)
				response.Body.Close()
				if response.StatusCode != 200 {
					w.t.Errorf("%s: %d %s", path, response.StatusCode, body)
					return
				}
			}
		})
	}
	workers.Wait()
}

// processorTime returns the seconds of processor time that the gateway spends while do runs.
func (w *tykWalk) processorTime(do func()) float64 {
	before := w.ticks()
	do()
	return float64(w.ticks()-before) / 100
}

func (w *tykWalk) ticks() (n int) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", w.cmd.Process.Pid))
	if err != nil {
		w.t.Fatal(err)
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	for _, i := range []int{11, 12} { // utime and stime
		v, _ := strconv.Atoi(fields[i])
		n += v
	}
	return n
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
