package plugintest

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"
)

// missCases: what the issuer has to bear of the gateway's misses.
func missCases() []Case {
	return []Case{
		{Name: "miss/100 at once ask the issuer once", Check: coalesced},
		{Name: "miss/a client that leaves does not fail the others", Check: leaver},
		{Name: "miss/an unknown reference is remembered for a moment", Check: func(w *Walk) {
			const requests = 50
			unknown := NewReference()
			for range requests {
				w.Refused(w.Get(Events, unknown), http.StatusUnauthorized, "invalid_token")
			}
			// An entry may run out within the loop on a slow machine; not at every request.
			if n := w.Issuer.AskedAbout(unknown); n > requests/2 {
				w.T.Errorf("%d requests with one unknown reference made %d introspections", requests, n)
			}
		}},
		{Name: "miss/a flood of unknown references evicts no good one", Config: func(c *Config) {
			c.Cache["negativeEntries"] = 16
		}, Check: flood},
	}
}

// sendMany sends n like requests at once and returns a function that waits
// for the statuses. It returns once every request is on its way to the
// gateway.
func (w *Walk) sendMany(n int, reference string) (statuses func() []int) {
	var all sync.WaitGroup
	var written atomic.Int64
	got := make([]int, n)
	for i := range n {
		r := w.Request(http.MethodGet, Events, reference)
		trace := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { written.Add(1) }}
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), trace))
		all.Go(func() {
			if response, err := w.send(r); err == nil {
				got[i] = response.Status
			}
		})
	}
	w.eventually("all requests are sent", func() bool { return written.Load() == int64(n) })
	return func() []int {
		all.Wait()
		return got
	}
}

func coalesced(w *Walk) {
	hold := make(chan struct{})
	w.Issuer.Behave(Behaviour{Hold: hold})
	reference := w.Issuer.GrantScopes("eventcatalog.read")
	start := time.Now()
	statuses := w.sendMany(100, reference)
	w.eventually("the issuer is asked", func() bool { return w.Issuer.AskedAbout(reference) > 0 })
	close(hold)
	for _, status := range statuses() {
		if status != http.StatusOK {
			w.T.Fatalf("one of the requests was answered %d", status)
		}
	}
	// With up to 10 % of jitter an answer serves for 900 ms from when it was asked for. Who comes later, on a machine that takes as
	// long to send them all, asks again.
	most := 1
	if !w.Issuer.FeedHeard() {
		most += int(time.Since(start) / (900 * time.Millisecond))
	}
	if n := w.Issuer.AskedAbout(reference); n < 1 || n > most {
		w.T.Errorf("100 requests at once made %d introspections; want 1, or one each 900 ms", n)
	}
}

// leaver: the client whose request started the introspection goes away; those
// who wait with it get their answer.
func leaver(w *Walk) {
	hold := make(chan struct{})
	w.Issuer.Behave(Behaviour{Hold: hold})
	reference := w.Issuer.GrantScopes("eventcatalog.read")
	first := w.Request(http.MethodGet, Events, reference)
	ctx, leave := context.WithCancel(first.Context())
	defer leave()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		w.send(first.WithContext(ctx))
	}()
	w.eventually("the issuer is asked", func() bool { return w.Issuer.AskedAbout(reference) > 0 })
	statuses := w.sendMany(5, reference)
	leave()
	<-gone
	close(hold)
	for _, status := range statuses() {
		if status != http.StatusOK {
			w.T.Errorf("one who stayed was answered %d", status)
		}
	}
}

// flood sends a good reference between many unknown ones, with room for few
// of those. The good one is asked about when its entry runs out, which the
// time the flood took bounds, and not because it was pushed out.
func flood(w *Walk) {
	const rounds = 200
	good := w.Issuer.GrantScopes("eventcatalog.read")
	start := time.Now()
	for range rounds {
		w.Passed(w.Get(Events, good))
		w.Refused(w.Get(Events, NewReference()), http.StatusUnauthorized, "invalid_token")
	}
	// With up to 10 % of jitter an entry lives 900 ms; half of it is the margin.
	lives := int(time.Since(start)/(450*time.Millisecond)) + 1
	if n := w.Issuer.AskedAbout(good); n > lives && n > rounds/4 {
		w.T.Errorf("the good reference was asked about %d times in %d rounds", n, rounds)
	}
}
