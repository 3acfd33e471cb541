package phantomtoken

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/plugins/policy"
)

// TestLifetime: an entry is served until the earliest of the token's end, the answer's limit and our maximum.
func TestLifetime(t *testing.T) {
	tests := map[string]struct {
		cache string
		life  time.Duration // of the token
		want  time.Duration
	}{
		"our maximum":         {"", 5 * time.Minute, 3 * time.Second},
		"max-age":             {"private, max-age=2", 5 * time.Minute, 2 * time.Second},
		"longer max-age":      {"max-age=300", 5 * time.Minute, 3 * time.Second},
		"the shorter max-age": {"max-age=300, max-age=1", 5 * time.Minute, time.Second},
		"exp":                 {"max-age=300", time.Second, time.Second},
		"no-store":            {"private, no-store, max-age=300", 5 * time.Minute, 0},
		"no-cache":            {"No-Cache", 5 * time.Minute, 0},
		"max-age=0":           {"max-age=0", 5 * time.Minute, 0},
		"nonsense":            {"max-age=soon", 5 * time.Minute, 0},
		"negative":            {"max-age=-1", 5 * time.Minute, 0},
		"huge":                {"max-age=99999999999999999999", 5 * time.Minute, 0},
		"quoted":              {`max-age="2"`, 5 * time.Minute, 2 * time.Second},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, func(c *Config) { c.MaxAge = 3 * time.Second })
			f.issuer.cache = test.cache
			f.issuer.claims = map[string]any{"exp": f.clock.now().Add(test.life).Unix()}
			f.mustSwap(good, false)
			if test.want > 0 {
				f.clock.advance(test.want - time.Millisecond)
				f.mustSwap(good, true)
				f.clock.advance(time.Millisecond)
			}
			f.issuer.claims = nil
			f.mustSwap(good, false)
		})
	}
}

// TestJitterOnlyShortens: entries fetched together end apart, and none later than it may.
func TestJitterOnlyShortens(t *testing.T) {
	f := newFixture(t)
	facts := policy.Facts{Expires: f.clock.now().Add(time.Minute).UnixMilli()}
	for jitter, want := range map[float64]int64{0: 1000, 0.5: 950, 0.999: 900} {
		f.jitter = func() float64 { return jitter }
		if got := f.servedUntil(answer{}, facts, f.clock.now()) - f.clock.now().UnixMilli(); got != want {
			t.Errorf("jitter %v: %d ms, want %d", jitter, got, want)
		}
	}
	for range 1000 {
		if j := randomJitter(); j < 0 || j >= 1 {
			t.Fatal(j)
		}
	}
}

// TestSlowAnswersDoNotLiveLonger: an answer's time runs from when it was asked for.
func TestSlowAnswersDoNotLiveLonger(t *testing.T) {
	f := newFixture(t)
	sent := f.clock.now()
	f.clock.advance(1500 * time.Millisecond)
	facts := policy.Facts{Expires: sent.Add(time.Hour).UnixMilli(), Scopes: 1}
	k := keyFor(good, f.ask)
	f.land(k, answer{jwt: "x"}, facts, sent)
	if _, ok := f.store.get(&k, f.clock.now().UnixMilli()); ok {
		t.Error("cached beyond its time")
	}
}

func TestStoreIsBounded(t *testing.T) {
	st, err := newStore(2<<20, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	f := newFixture(t)
	const entries, size = 10_000, 1000
	for n := range entries {
		header := fmt.Sprintf("%d %s", n, strings.Repeat("x", size))
		if err := st.put(&entry{key: keyFor(nthReference(n), f.ask), until: 1000, facts: policy.Facts{Expires: int64(n), ACR: "acr"}, header: header}); err != nil {
			t.Fatal(err)
		}
	}
	if got := st.cache.Capacity(); got > 2<<20 {
		t.Errorf("%d bytes", got)
	}
	found := 0
	for n := range entries {
		k := keyFor(nthReference(n), f.ask)
		token, ok := st.get(&k, 999)
		if !ok {
			continue
		}
		found++
		if token.Facts.Expires != int64(n) || token.Facts.ACR != "acr" || !strings.HasPrefix(token.Header[0], fmt.Sprintf("%d x", n)) {
			t.Fatalf("%d: %+v %.20s", n, token.Facts, token.Header[0])
		}
	}
	if found == 0 || found > 2<<20/size {
		t.Errorf("%d entries", found)
	}
	if err := st.put(&entry{until: 1, header: strings.Repeat("x", mostAnswer)}); err != nil {
		t.Errorf("the largest token: %v", err)
	}
	if err := st.put(&entry{until: 1, header: strings.Repeat("x", 4<<20)}); err == nil {
		t.Error("an entry larger than a shard was taken")
	}
}

// TestFloodOfReferencesLeavesGoodTokens: made-up references fill a store of their own.
func TestFloodOfReferencesLeavesGoodTokens(t *testing.T) {
	n := newNegativeStore(1000, time.Minute)
	f := newFixture(t)
	for i := range 10_000 {
		n.put(keyFor(nthReference(i), f.ask), ErrInactive, f.clock.now())
		if len(n.young)+len(n.old) > 1000 {
			t.Fatalf("%d entries", len(n.young)+len(n.old))
		}
	}
	if n.get(keyFor(nthReference(9_999), f.ask), f.clock.now()) != ErrInactive {
		t.Error("the latest was forgotten")
	}
	f.clock.advance(time.Minute)
	if n.get(keyFor(nthReference(9_999), f.ask), f.clock.now()) != nil {
		t.Error("the latest was remembered for too long")
	}
}

// TestNothingIsLeftAfterClose: no goroutine stays behind.
func TestNothingIsLeftAfterClose(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 20 {
		f := newFixture(t)
		f.mustSwap(good, false)
		f.Close()
	}
	waitUntil(t, func() bool { return runtime.NumGoroutine() <= before })
}
