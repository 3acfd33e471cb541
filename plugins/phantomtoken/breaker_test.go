package phantomtoken

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"
)

func TestBreakerOpensProbesAndCloses(t *testing.T) {
	b, now := newBreaker(), newClock()
	mustEnter := func(wantProbe bool) attempt {
		t.Helper()
		a, wait := b.enter(now.now())
		if wait > 0 || a.probe != wantProbe {
			t.Fatalf("wait %v, probe %t", wait, a.probe)
		}
		return a
	}
	late := mustEnter(false)
	for i := range breakerFailures {
		change := b.leave(mustEnter(false), failed, now.now())
		if (change == "open") != (i == breakerFailures-1) {
			t.Fatalf("failure %d: %q", i+1, change)
		}
	}
	if _, wait := b.enter(now.now()); wait != breakerPause {
		t.Fatalf("open: wait %v", wait)
	}
	b.leave(late, failed, now.now()) // one that was under way says nothing new
	now.advance(breakerPause)
	probe := mustEnter(true)
	if _, wait := b.enter(now.now()); wait <= 0 {
		t.Fatal("a second probe")
	}
	b.leave(probe, unknown, now.now()) // the prober hung up: the next one probes
	b.leave(mustEnter(true), failed, now.now())
	if _, wait := b.enter(now.now()); wait != breakerPause {
		t.Fatalf("after a failed probe: wait %v", wait)
	}
	now.advance(breakerPause)
	if change := b.leave(mustEnter(true), worked, now.now()); change != "closed" {
		t.Fatalf("after a good probe: %q", change)
	}
	mustEnter(false)
}

func TestBreakerCountsFailuresInARow(t *testing.T) {
	b, now := newBreaker(), newClock()
	for i := range 10 * breakerFailures {
		a, wait := b.enter(now.now())
		if wait > 0 {
			t.Fatalf("opened at %d", i)
		}
		v := failed
		if i%breakerFailures == breakerFailures-1 {
			v = worked
		}
		b.leave(a, v, now.now())
	}
}

// TestBreakerNeverSticks walks through random histories: after any of them, a pause and one good answer open the way.
func TestBreakerNeverSticks(t *testing.T) {
	for seed := range uint64(500) {
		random := rand.New(rand.NewPCG(seed, 0))
		b, now := newBreaker(), newClock()
		var under []attempt
		for range 50 {
			switch random.IntN(3) {
			case 0:
				if a, wait := b.enter(now.now()); wait == 0 {
					under = append(under, a)
				} else if wait < 0 || wait > breakerPause {
					t.Fatalf("seed %d: wait %v", seed, wait)
				}
			case 1:
				if len(under) > 0 {
					i := random.IntN(len(under))
					b.leave(under[i], verdict(random.IntN(3)), now.now())
					under = append(under[:i], under[i+1:]...)
				}
			case 2:
				now.advance(time.Duration(random.IntN(int(2 * breakerPause))))
			}
			probes := 0
			for _, a := range under {
				if a.probe {
					probes++
				}
			}
			if probes > 1 {
				t.Fatalf("seed %d: %d probes at once", seed, probes)
			}
		}
		for _, a := range under {
			b.leave(a, failed, now.now())
		}
		now.advance(breakerPause)
		a, wait := b.enter(now.now())
		if wait > 0 {
			t.Fatalf("seed %d: stuck", seed)
		}
		b.leave(a, worked, now.now())
		if a, wait := b.enter(now.now()); wait > 0 || a.probe {
			t.Fatalf("seed %d: not closed", seed)
		}
	}
}

// TestPanickingProbe: a request that never comes back from the issuer does not keep the breaker open.
func TestPanickingProbe(t *testing.T) {
	f := newFixture(t)
	f.issuer.answer = func(*http.Request) *http.Response { return respond(500, "", "") }
	for range breakerFailures {
		_, _, _ = f.swap(good)
	}
	f.clock.advance(breakerPause)
	f.issuer.answer = func(*http.Request) *http.Response { panic("boom") }
	if _, _, err := f.swap(good); !errors.Is(err, errPanic) {
		t.Fatalf("the probe: %v", err)
	}
	f.issuer.answer = nil
	f.mustSwap(good, false)
}
