package consistency

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/plugins/gateway"
	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// bound is the max_staleness of the gateways here. With less, one that is well would be taken to be silent between two answers of
// the feed, and would show nothing.
const bound = 2 * time.Second

// The routes of the gateways.
const (
	catalogue = "/catalogue"
	basket    = "/basket"
)

// replica is one gateway, the core that every binding calls, with a line of its own to the issuer.
type replica struct {
	gateway *gateway.Gateway
	line    *line
}

func newReplicas(t *testing.T, world *rptest.World, n int) []*replica {
	t.Helper()
	route := func(path, audience string) map[string]any {
		return map[string]any{"path": path, "audience": audience, "scopes": map[string]any{"all": []string{audience + ".read"}}}
	}
	data, err := json.Marshal(map[string]any{
		"issuer": map[string]any{"issuer": world.URL, "clientId": rptest.Gateway().ID, "clientSecret": rptest.Gateway().Secret,
			"timeout": "30s"}, // raceForMany has answers wait
		"cache":  map[string]any{"maxStaleness": bound.String()},
		"routes": []any{route(catalogue, "catalogue"), route(basket, "basket")},
	})
	if err != nil {
		t.Fatal(err)
	}
	config, err := gateway.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	var all []*replica
	for range n {
		r := &replica{line: &line{network: &http.Transport{MaxIdleConnsPerHost: 16}}}
		if r.gateway, err = gateway.New(config, gateway.Options{Logger: slog.New(slog.DiscardHandler), Transport: r.line}); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := r.gateway.Close(); err != nil {
				t.Error(err)
			}
			r.line.network.CloseIdleConnections()
		})
		all = append(all, r)
	}
	return all
}

// call sends one request with a reference through the gateway. cached: the issuer was not asked.
func (r *replica) call(t *testing.T, path, reference string) (status int, cached bool) {
	t.Helper()
	outcome := r.gateway.Authorize((&http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: path}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "api.example",
		Header: http.Header{"Authorization": {"Bearer " + reference}},
	}).WithContext(t.Context()))
	if refusal := outcome.Refusal(); refusal != nil {
		return refusal.Status, outcome.Cached
	}
	return http.StatusOK, outcome.Cached
}

// slowest is how late an introspection's answer may come: late enough for the event of a revocation to overtake it.
const slowest = 40 * time.Millisecond

// line is the network between a gateway and the issuer: answers come late, each by another while, and it can be cut for the
// feed alone.
type line struct {
	network *http.Transport
	quick   atomic.Bool // nothing comes late

	mu   sync.Mutex
	cut  chan struct{} // nothing of the feed comes back until it is closed
	hold chan struct{} // no answer of an introspection comes before it is closed
	held int           // how many have been kept back
}

// cutOff silences the feed until heal is called.
func (l *line) cutOff() (heal func()) { return l.until(&l.cut) }

// holdBack keeps the answers of introspections back, which the issuer has given, until release is called.
func (l *line) holdBack() (release func()) { return l.until(&l.hold) }

// until puts a channel there, which end closes and takes away.
func (l *line) until(there *chan struct{}) (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*there = make(chan struct{})
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		close(*there)
		*there = nil
	}
}

// holds counts the answers that have been kept back.
func (l *line) holds() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// RoundTrip sends a request over the line. An answer of the feed that was under way when it was cut does not come either.
func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := l.network.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	var late <-chan time.Time
	var hold chan struct{}
	l.mu.Lock()
	cut := l.cut
	if strings.HasSuffix(r.URL.Path, "/introspect") {
		if hold = l.hold; hold != nil {
			l.held++
		} else if !l.quick.Load() {
			late = time.After(rand.N(slowest))
		}
	}
	l.mu.Unlock()
	switch {
	case strings.HasSuffix(r.URL.Path, "/poll") && cut != nil:
		_ = resp.Body.Close() // it is lost
		select {
		case <-cut:
			return nil, fmt.Errorf("the connection is dead")
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	case late != nil || hold != nil:
		select {
		case <-late:
		case <-hold:
		case <-r.Context().Done():
			_ = resp.Body.Close() // nobody waits for it any more
			return nil, r.Context().Err()
		}
	}
	return resp, nil
}
