package main

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestShort runs every scenario, a few times each, and the controls. One lab does for all: its programs take longer to build than
// the scenarios to run.
func TestShort(t *testing.T) {
	root, err := repository(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	l, err := newLab(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("promises", func(t *testing.T) { promises(t, l) })
	t.Run("control: gateways that do without the feed", func(t *testing.T) { withoutFeed(t, *l) })
	t.Run("control: gateways that get no new keys", func(t *testing.T) { withOldKeys(t, l) })
	t.Run("control: a backup that is not told", func(t *testing.T) { backupNotTold(t, l) })
	nothingLeft(t, nil, "toxiproxy/v2.(*Proxy)") // a gateway's way to the issuer that is still served
}

// promises holds what is promised whatever happens: no request passes later than the bound, no living token is refused, no answered
// revocation is lost. How soon is a figure, which this does not look at.
func promises(t *testing.T, l *lab) {
	var out strings.Builder
	all, err := measure(t.Context(), l, shortSettings(), &out)
	t.Log(out.String())
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, f := range all {
		if strings.HasSuffix(f.Name, "false_passes") || strings.HasSuffix(f.Name, "_unavailable") || f.Name == "false_refusals" || f.Name == "lost_writes" {
			looked++
			if !f.Holds {
				t.Errorf("%s is %v", f.Name, f.Value)
			}
		}
		if strings.HasSuffix(f.Name, "_served_p50") && f.Value == 0 {
			t.Errorf("%s is 0: the gateway was not asked while it could not know", f.Name)
		}
	}
	want := 3
	for _, sc := range scenarios(shortSettings()) {
		want++
		if sc.always {
			want++
		}
	}
	if looked != want {
		t.Errorf("%d promises were looked at, want %d", looked, want)
	}
}

// withoutFeed: gateways that go on for a minute without the feed are found out.
func withoutFeed(t *testing.T, l lab) {
	l.staleness = time.Minute
	for _, sc := range scenarios(shortSettings()) {
		if !slices.Contains([]string{"deaf", "cut_off", "refused", "caddy_cut_off"}, sc.name) {
			continue
		}
		seen, err := sc.run(t.Context(), &l)
		if err != nil {
			t.Fatal(err)
		}
		if seen.falsePasses == 0 {
			t.Errorf("%s: no request was seen to pass too late", sc.about)
		}
	}
}

// withOldKeys: gateways that are given no new keys are found out. They may have fetched the second key with the first one, and it
// ends with the last key's first signature: what they do not know has to sign for a while in between.
func withOldKeys(t *testing.T, l *lab) {
	seen, err := keyRotation(6, faults{oldKeys: true})(t.Context(), l)
	if err == nil && seen.unavailable == 0 || err != nil && !strings.Contains(err.Error(), "does not serve a living token") {
		t.Errorf("it ended with %v, and no good request was seen to fail", err)
	}
}

// backupNotTold: an issuer that was not told that its database is a backup honours again what was revoked, and so do gateways.
func backupNotTold(t *testing.T, l *lab) {
	seen, err := restored(false)(t.Context(), l)
	if err == nil || !strings.Contains(err.Error(), "never refused a revoked token: it answers 200") {
		t.Errorf("it ended with %v, after %v", err, seen)
	}
}

// TestQuantile: with few values, the 99th of a hundred is the highest of them, or the figures would leave it out.
func TestQuantile(t *testing.T) {
	for _, test := range []struct {
		values int // 1, 2, 3 …
		q      float64
		want   time.Duration
	}{{0, 0.5, 0}, {1, 0.5, 1}, {2, 0.5, 1}, {2, 0.99, 2}, {3, 0.5, 2}, {24, 0.99, 24}, {100, 0.99, 99}, {200, 0.99, 198}, {5, 1, 5}} {
		var values []time.Duration
		for n := test.values; n > 0; n-- {
			values = append(values, time.Duration(n))
		}
		if got := quantile(values, test.q); got != test.want {
			t.Errorf("of %d values, %v is %d; want %d", test.values, test.q, got, test.want)
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
