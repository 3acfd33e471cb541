package plugintest

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/golang-jwt/jwt/v5"
)

// keyCases: signing keys change while requests are under way.
func keyCases() []Case {
	return []Case{
		{Name: "keys/rotation under load without one failure", Check: rotationUnderLoad},
		{Name: "keys/unknown kids do not make the gateway hammer the issuer", Check: unknownKids},
	}
}

// rotationUnderLoad rotates once the load runs, and goes on until enough
// tokens signed by the new key have passed. Every request is a miss: each has
// a reference of its own.
func rotationUnderLoad(w *Walk) {
	const workers, before, after = 8, 40, 80
	w.Passed(w.Get(Events, w.Issuer.GrantScopes("eventcatalog.read"))) // the old key is known
	var done, rotated atomic.Int64
	var all sync.WaitGroup
	failed := make(chan Response, workers)
	for range workers {
		all.Go(func() {
			for rotated.Load() < after {
				newKey := w.Issuer.keys.current().id != "key-1"
				r, err := w.send(w.Request(http.MethodGet, Events, w.Issuer.GrantScopes("eventcatalog.read")))
				if err != nil || r.Status != http.StatusOK {
					failed <- Response{Status: r.Status, Body: fmt.Sprint(r.Body, err)}
					rotated.Store(after)
					return
				}
				done.Add(1)
				if newKey {
					rotated.Add(1)
				}
			}
		})
	}
	w.eventually("the load runs", func() bool { return done.Load() >= before || len(failed) > 0 })
	w.Issuer.Rotate()
	all.Wait()
	select {
	case r := <-failed:
		w.T.Errorf("a request failed around the rotation: %d %s", r.Status, r.Body)
	default:
	}
}

// unknownKids: a kid nobody publishes is looked for once and not each time,
// and a good token passes all the same.
func unknownKids(w *Walk) {
	const requests = 40
	w.Passed(w.Get(Events, w.Issuer.GrantScopes("eventcatalog.read")))
	var n int
	w.Issuer.Behave(Behaviour{Mint: func(header map[string]any, _ jwt.MapClaims) {
		n++
		header["kid"] = fmt.Sprintf("nobody's-%d", n)
	}})
	for range requests {
		r := w.Get(Events, w.Issuer.GrantScopes("eventcatalog.read"))
		if r.Status != http.StatusBadGateway && r.Status != http.StatusServiceUnavailable {
			w.T.Fatalf("an unknown kid was answered %d; want 502, or 503 once the breaker opens", r.Status)
		}
	}
	if calls := w.Issuer.JWKSCalls(); calls > requests/4 {
		w.T.Errorf("%d unknown kids made the gateway fetch the keys %d times", requests, calls)
	}
	w.Issuer.Behave(Behaviour{})
	w.eventually("a good token passes again", func() bool {
		return w.Get(Events, w.Issuer.GrantScopes("eventcatalog.read")).Status == http.StatusOK
	})
}
