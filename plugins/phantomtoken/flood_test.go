package phantomtoken

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestKnownReferencesHaveRoomInAFlood: made-up references that are well formed take up the introspections that may be
// under way at once. One that was good a moment ago is asked for all the same.
func TestKnownReferencesHaveRoomInAFlood(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.MaxInFlight, c.Timeout = 8, time.Minute })
	f.mustSwap(good, false)
	f.clock.advance(time.Second) // it is to be asked for anew
	f.issuer.answer = func(*http.Request) *http.Response {
		f.issuer.mu.Lock()
		last := f.issuer.asked[len(f.issuer.asked)-1]
		f.issuer.mu.Unlock()
		if strings.Contains(last, good) {
			return respond(http.StatusOK, "application/jwt", f.issuer.mint())
		}
		return nil // never
	}
	var refused atomic.Int32
	for n := range 100 {
		go func() {
			if _, _, err := f.swap(nthReference(n)); isUnavailable(err) {
				refused.Add(1)
			}
		}()
	}
	waitUntil(t, func() bool { return refused.Load() >= 92 && f.flights.underWay()+int(refused.Load()) == 100 })
	f.mustSwap(good, false)
}

func (f *flights[K, V]) underWay() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.active
}
