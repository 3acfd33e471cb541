package phantomtoken

import (
	"errors"
	"sync"
	"time"
)

// breaker keeps requests from an issuer that has failed several times in a row, so that they fail at once and it can
// come back. After a pause one request probes; its success opens the way for all.
type breaker struct {
	mu       sync.Mutex
	failures int       // in a row
	until    time.Time // the end of the pause; zero while requests may pass
	probing  bool
}

const (
	breakerFailures = 5
	breakerPause    = time.Second
)

// errBreakerOpen: the issuer was not asked.
var errBreakerOpen = errors.New("the issuer was not asked")

// verdict is what a request says about the issuer.
type verdict int

const (
	unknown verdict = iota // given up before there was an answer
	worked
	failed
)

// attempt is one request that the breaker let through.
type attempt struct{ probe bool }

func newBreaker() *breaker { return &breaker{} }

// enter lets a request through, which must be followed by leave, or says how long to wait.
func (b *breaker) enter(now time.Time) (a attempt, wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until.IsZero():
		return attempt{}, 0
	case now.Before(b.until):
		return attempt{}, b.until.Sub(now)
	case b.probing:
		return attempt{}, breakerPause
	}
	b.probing = true
	return attempt{probe: true}, 0
}

// leave takes the verdict of a request. It returns the breaker's new state when that has changed, else "".
func (b *breaker) leave(a attempt, v verdict, now time.Time) (change string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.probe {
		b.probing = false
	}
	switch {
	case v == worked:
		b.failures = 0
		if !b.until.IsZero() {
			b.until = time.Time{}
			return "closed"
		}
	case v == failed && a.probe:
		b.until = now.Add(breakerPause)
	case v == failed && b.until.IsZero():
		if b.failures++; b.failures >= breakerFailures {
			b.until = now.Add(breakerPause)
			return "open"
		}
	}
	return ""
}
