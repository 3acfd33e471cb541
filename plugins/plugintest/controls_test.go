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

// failuresOf runs c against a fault and returns what it reported. Where it is known what it must say, it has as long as ever for
// that: nothing is waited for that does not come.
func failuresOf(t *testing.T, c Case, f fault) []string {
	hurry := 2 * time.Second
	if f.says != "" {
		hurry = 0
	}
	r := &recorder{TB: t}
	done := make(chan struct{})
	go func() { // a goroutine of its own, which Fatal ends
		defer close(done)
		c.run(r, f.binding, hurry)
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
		for _, pattern := range f.fails {
			cases := matching(pattern)
			if len(cases) == 0 {
				t.Errorf("%s: there is no case %q", f.name, pattern)
			}
			for _, c := range cases {
				delete(uncontrolled, c.Name)
			}
		}
		t.Run(f.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting for what never comes
			for _, pattern := range f.fails {
				for _, c := range matching(pattern) {
					t.Run(c.Name, func(t *testing.T) { mustFail(t, c, f) })
				}
			}
		})
	}
	for name := range uncontrolled {
		t.Errorf("no fault makes %q fail", name)
	}
}

func mustFail(t *testing.T, c Case, f fault) {
	failures := failuresOf(t, c, f)
	if len(failures) == 0 {
		t.Error("the case did not fail")
	}
	if !slices.ContainsFunc(failures, func(s string) bool { return strings.Contains(s, f.says) }) {
		t.Errorf("failed with %q; want %q", failures, f.says)
	}
}

// matching are the cases of that name, or those that a pattern with a star means.
func matching(pattern string) (all []Case) {
	for _, c := range Cases() {
		if ok, err := path.Match(pattern, c.Name); ok && err == nil || pattern == c.Name {
			all = append(all, c)
		}
	}
	return all
}
