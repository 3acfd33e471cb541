package plugintest

import (
	"fmt"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder is a testing.TB that remembers failures instead of failing.
type recorder struct {
	testing.TB
	mu       sync.Mutex
	failures []string
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Error(args ...any) { r.Errorf("%s", fmt.Sprint(args...)) }

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// failuresOf runs c against b and returns what it reported.
func failuresOf(t *testing.T, c Case, b Binding) []string {
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() { // a goroutine of its own, which Fatal ends
		defer close(done)
		c.run(r, b, 3*time.Second)
	}()
	<-done
	return r.failures
}

// TestControls puts each fault into the model binding and sees the cases that
// are there for it fail. Every case must have a fault it was seen failing on.
func TestControls(t *testing.T) {
	uncontrolled := map[string]bool{}
	for _, c := range Cases() {
		uncontrolled[c.Name] = true
	}
	for _, f := range slices.Concat(faults, browserFaults, foreignFaults, feedFaults, signalFaults) {
		t.Run(f.name, func(t *testing.T) {
			for _, pattern := range f.fails {
				if !slices.ContainsFunc(Cases(), func(c Case) bool { return matches(pattern, c.Name) }) {
					t.Errorf("there is no case %q", pattern)
				}
			}
			for _, c := range Cases() {
				if !slices.ContainsFunc(f.fails, func(pattern string) bool { return matches(pattern, c.Name) }) {
					continue
				}
				delete(uncontrolled, c.Name)
				t.Run(c.Name, func(t *testing.T) {
					failures := failuresOf(t, c, f.binding)
					if len(failures) == 0 {
						t.Error("the case did not fail")
					}
					if !slices.ContainsFunc(failures, func(s string) bool { return strings.Contains(s, f.says) }) {
						t.Errorf("failed with %q; want %q", failures, f.says)
					}
				})
			}
		})
	}
	for name := range uncontrolled {
		t.Errorf("no fault makes %q fail", name)
	}
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil || pattern == name
}
