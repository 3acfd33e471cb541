package main

import (
	"strings"
	"testing"
	"time"
)

// TestShort runs every scenario, a few times each, and holds what is promised whatever happens: no request passes later than
// the bound, no living token is refused, no answered revocation is lost. How soon is a figure, which this does not look at.
func TestShort(t *testing.T) {
	root, err := repository(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	all, err := measure(t.Context(), root, shortSettings(), &out)
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	promises := 0
	for _, f := range all {
		if strings.HasSuffix(f.Name, "false_passes") || f.Name == "false_refusals" || f.Name == "lost_writes" {
			promises++
			if !f.Holds {
				t.Errorf("%s is %v", f.Name, f.Value)
			}
		}
	}
	if want := len(scenarios(shortSettings())) + 3; promises != want {
		t.Errorf("%d promises were looked at, want %d", promises, want)
	}
}

// TestShortControl: gateways that go on for a minute without the feed are found out.
func TestShortControl(t *testing.T) {
	root, err := repository(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLab(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	}()
	l.staleness = time.Minute
	for _, sc := range scenarios(shortSettings()) {
		if sc.name != "deaf" && sc.name != "cut_off" {
			continue
		}
		seen, err := sc.run(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		if seen.falsePasses == 0 {
			t.Errorf("%s: no request was seen to pass too late", sc.about)
		}
	}
}

func TestMadeUpReferencesAreWellFormed(t *testing.T) {
	for range 100 {
		if reference := madeUp(); len(reference) != 54 || !strings.HasPrefix(reference, "pgat_") {
			t.Errorf("%q", reference)
		}
	}
}
