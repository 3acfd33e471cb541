package phantomtoken

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// reference returns the nth of many well-formed references.
func nthReference(n int) string {
	body := fmt.Sprintf("pgat_%043d", n)
	return body + checksum(body)
}

func TestKeysAreFetchedOnceAndOnRotation(t *testing.T) {
	f := newFixture(t)
	for n := range 10 {
		f.mustSwap(nthReference(n), false)
	}
	if _, n := f.issuer.calls(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
	for n := range 3 { // rotations in a row, without a second passing
		f.issuer.rotate(fmt.Sprint("new", n))
		f.mustSwap(nthReference(100+n), false)
	}
	if _, n := f.issuer.calls(); n != 4 {
		t.Errorf("%d fetches, want 4", n)
	}
}

// TestUnknownKidIsRateLimited, while fetching works and while it fails.
func TestUnknownKidIsRateLimited(t *testing.T) {
	for name, custom := range map[string]func() *http.Response{
		"works": nil, "fails": func() *http.Response { return respond(500, "", "") },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.mustSwap(good, false)
			f.issuer.keys = custom
			f.issuer.header = map[string]any{"kid": "unknown"}
			for range 50 {
				if _, _, err := f.swap(other); !errors.Is(err, ErrIssuer) {
					t.Fatal(err)
				}
			}
			if _, n := f.issuer.calls(); n != fetchBurst {
				t.Errorf("%d fetches, want %d", n, fetchBurst)
			}
			f.clock.advance(fetchPause)
			for range 50 {
				_, _, _ = f.swap(other)
			}
			if _, n := f.issuer.calls(); n != fetchBurst+1 {
				t.Errorf("%d fetches after a pause, want %d", n, fetchBurst+1)
			}
			// Tokens of known keys pass all the while.
			f.issuer.header = nil
			f.mustSwap(nthReference(1), false)
		})
	}
}

func TestIssuerWithoutKeysAtStart(t *testing.T) {
	f := newFixture(t)
	f.issuer.keys = func() *http.Response { return respond(503, "", "") }
	for range 2 * fetchBurst {
		if _, _, err := f.swap(good); !isUnavailable(err) {
			t.Fatalf("%v", err) // and never "inactive", which would be a 401
		}
	}
	f.issuer.keys = nil
	f.clock.advance(fetchPause)
	f.mustSwap(good, false)
}

// TestWithdrawnKeyIsForgotten: a key that the issuer no longer publishes ends after keysFresh, and when the key set can
// not be had, the known keys end after keysUsable.
func TestWithdrawnKeyIsForgotten(t *testing.T) {
	f := newFixture(t)
	f.mustSwap(good, false)
	f.clock.advance(keysFresh + time.Second)
	f.issuer.keys = func() *http.Response { return respond(500, "", "") }
	f.mustSwap(good, false) // the old keys have to do
	f.clock.advance(keysUsable)
	if _, _, err := f.swap(good); !isUnavailable(err) {
		t.Errorf("keys too old to be believed: %v", err)
	}
	f.clock.advance(time.Minute)
	f.issuer.keys = func() *http.Response {
		return respond(200, "", `{"keys":[{"kty":"EC","kid":"9","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`)
	}
	if _, _, err := f.swap(good); !errors.Is(err, ErrIssuer) {
		t.Errorf("a withdrawn key: %v", err)
	}
}

func TestFetchLimit(t *testing.T) {
	var l fetchLimit
	now := newClock()
	taken := 0
	for range 100 * int(fetchPause/time.Second) * 2 { // 200 pauses in half seconds
		if wait := l.take(now.now()); wait == 0 {
			taken++
		} else if wait > fetchPause {
			t.Fatalf("wait %v", wait)
		}
		now.advance(500 * time.Millisecond)
	}
	elapsed := 100 * int(fetchPause/time.Second) * 2 / 2 // seconds
	if most := fetchBurst + elapsed/int(fetchPause/time.Second); taken > most || taken < most-2 {
		t.Errorf("%d fetches in %d s, want about %d", taken, elapsed, most)
	}
}

// TestOldKeysDoNotHoldUpRequests: while one request looks for newer keys, the others are not kept waiting.
func TestOldKeysDoNotHoldUpRequests(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Timeout = time.Minute })
	f.mustSwap(nthReference(0), false)
	f.clock.advance(keysFresh + time.Second)
	hung := make(chan struct{})
	f.issuer.keys = func() *http.Response { <-hung; return respond(500, "", "") }
	fetches := func() int { _, n := f.issuer.calls(); return n }
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { _, _, err := f.swap(nthReference(1)); first <- err }()
	waitUntil(t, func() bool { return fetches() == 2 })
	go func() { _, _, err := f.swap(nthReference(2)); second <- err }()
	waitUntil(t, func() bool { return len(second) == 1 || f.verifier.keys.fetches.waitingFor(struct{}{}) == 2 })
	if len(second) == 0 {
		t.Error("a request waits for a key set it can do without")
	}
	close(hung)
	for _, done := range []chan error{first, second} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
