package main

import (
	"errors"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/plugins/plugintest"
)

// TestReloads: reloads of an API leave one gateway, one stream of the revocation feed, and as many goroutines as before; a
// cached token stays cached where nothing that matters has changed. (A thousand of them, in a real gateway: real_test.go.)
func TestReloads(t *testing.T) {
	w := newWalked(t)
	config := plugintest.NewConfig(w.issuer.URL)
	delete(config.Issuer, "noFeed")
	config.Cache = map[string]any{}
	definition := classic(object(t, config.JSON(t)), w.upstream.URL, "p.so")
	reference := w.issuer.GrantScopes("eventcatalog.read")
	get := func(loaded *loadedAPI) {
		t.Helper()
		r := httptest.NewRequest("GET", plugintest.Events, nil)
		r.Header.Set("Authorization", "Bearer "+reference)
		rec := httptest.NewRecorder()
		loaded.chain(w.hooks, w.upstream.URL, nil).ServeHTTP(rec, r)
		if rec.Code != 200 {
			t.Fatalf("answered %d %s", rec.Code, rec.Body)
		}
	}
	loaded := newLoadedAPI(t, false, definition)
	get(loaded)
	first := w.hooks.definitions.of(loaded.inject(httptest.NewRequest("GET", "/", nil)))
	eventually(t, "the feed is heard", w.issuer.FeedHeard)
	get(loaded)
	asked, goroutines := len(w.issuer.Asked()), runtime.NumGoroutine()
	for range 200 {
		next := newLoadedAPI(t, false, definition)
		get(next)
		runtime.KeepAlive(loaded) // as a gateway does until it has the next one
		loaded = next
	}
	if n := len(w.issuer.Asked()) - asked; n != 0 {
		t.Errorf("the issuer was asked %d times: a reload that changes nothing forgot the cache", n)
	}
	if n := w.issuer.FeedStreams(); n != 1 {
		t.Errorf("%d streams; want 1", n)
	}
	if last := w.hooks.definitions.of(loaded.inject(httptest.NewRequest("GET", "/", nil))); last.gateway != first.gateway {
		t.Error("another gateway")
	}
	eventually(t, "the old definitions are let go of", func() bool {
		runtime.GC()
		return len(*w.hooks.definitions.classic.slots.Load()) <= 2
	})
	eventually(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= goroutines+10 })
	runtime.KeepAlive(loaded)
}

// TestChanged: a definition whose configuration changed gets a gateway of its own; the old one ends when its requests have.
func TestChanged(t *testing.T) {
	w := newWalked(t)
	definition := classic(object(t, plugintest.NewConfig(w.issuer.URL).JSON(t)), w.upstream.URL, "p.so")
	d := w.hooks.definitions
	request := func(loaded *loadedAPI) *api { return d.of(loaded.inject(httptest.NewRequest("GET", "/", nil))) }
	old := newLoadedAPI(t, false, definition)
	before := request(old)
	at(definition, "config_data")["identityHeaders"] = []string{"X-Another"}
	current := newLoadedAPI(t, false, definition)
	if request(current).gateway == before.gateway {
		t.Error("a changed configuration has the old gateway")
	}
	if request(old) != before {
		t.Error("a request under way has lost its gateway")
	}
	held := func() int {
		d.gateways.mu.Lock()
		defer d.gateways.mu.Unlock()
		return len(d.gateways.entries)
	}
	if held() != 2 {
		t.Errorf("%d gateways; want 2", held())
	}
	runtime.KeepAlive(old)
	eventually(t, "the old gateway is closed", func() bool { runtime.GC(); return held() == 1 })
	runtime.KeepAlive(current)
	eventually(t, "and the API's, when that is deleted", func() bool { runtime.GC(); return held() == 0 })
}

// TestSharedFeed: two APIs of one issuer have one stream, and it ends with the second of them.
func TestSharedFeed(t *testing.T) {
	w := newWalked(t)
	config := plugintest.NewConfig(w.issuer.URL)
	delete(config.Issuer, "noFeed")
	config.Cache = map[string]any{}
	one := newLoadedAPI(t, false, classic(object(t, config.JSON(t)), w.upstream.URL, "p.so"))
	config.Routes = config.Routes[:1]
	two := newLoadedAPI(t, true, openAPI(object(t, config.JSON(t)), w.upstream.URL, "p.so"))
	d := w.hooks.definitions
	a, b := d.of(one.inject(httptest.NewRequest("GET", "/", nil))), d.of(two.inject(httptest.NewRequest("GET", "/", nil)))
	if a.faults != nil || b.faults != nil {
		t.Fatal(errors.Join(a.faults, b.faults))
	}
	eventually(t, "the feed is heard", w.issuer.FeedHeard)
	if n := w.issuer.FeedStreams(); n != 1 || a.gateway == b.gateway {
		t.Errorf("%d streams; want 1 of two gateways", n)
	}
	a.release()
	if n := w.issuer.FeedStreams(); n != 1 {
		t.Error("the stream ended with the first of its users")
	}
	b.release()
	eventually(t, "the stream is deleted", func() bool { return w.issuer.FeedStreams() == 0 })
}

// TestRotatedSecret: a reload after a secret's file has got another secret makes another gateway.
func TestRotatedSecret(t *testing.T) {
	w := newWalked(t)
	file := filepath.Join(t.TempDir(), "secret")
	write := func(secret string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := plugintest.NewConfig(w.issuer.URL)
	delete(config.Issuer, "clientSecret")
	config.Issuer["clientSecretFile"] = file
	gatewayOf := func() *api {
		t.Helper()
		a := compiled(t, w.hooks, newLoadedAPI(t, false, classic(object(t, config.JSON(t)), w.upstream.URL, "p.so")))
		if a.faults != nil {
			t.Fatal(a.faults)
		}
		return a
	}
	write("one")
	first, again := gatewayOf(), gatewayOf()
	write("two")
	if second := gatewayOf(); first.gateway != again.gateway || second.gateway == first.gateway {
		t.Error("the gateway does not follow the secret")
	}
}

// TestAddressUsedAgain: what was compiled for a definition that is gone is not taken for another one at its address.
func TestAddressUsedAgain(t *testing.T) {
	var known byAddress[string]
	p := new(string)
	*p = strings.Repeat("x", 10)
	known.put(p, &api{id: "old"})
	slots := *known.slots.Load()
	other := new(string)
	*other = "another definition"
	slots[address(other)] = slots[address(p)] // as if it had been put where p was
	if a := known.get(other); a != nil {
		t.Errorf("got %s", a.id)
	}
	if a := known.get(p); a == nil {
		t.Error("and the one itself is not found")
	}
}

// TestKnownDefinitionAllocates nothing beyond the request's own.
func TestKnownDefinitionAllocates(t *testing.T) {
	w := newWalked(t)
	for _, s := range shapes() {
		r := w.load(t, s, nil).inject(httptest.NewRequest("GET", "/", nil))
		if n := testing.AllocsPerRun(100, func() { w.hooks.definitions.of(r) }); n != 0 {
			t.Errorf("%s: %v allocations; want 0", s.name, n)
		}
	}
}

// TestShared: the value lives as long as anybody has it, and is made anew afterwards; one that cannot be made is not kept.
func TestShared(t *testing.T) {
	var s shared[*closer]
	made := 0
	create := func() (*closer, error) { made++; return &closer{}, nil }
	a, releaseA, _ := s.take("k", create)
	b, releaseB, _ := s.take("k", create)
	other, releaseOther, _ := s.take("other", create)
	if a != b || a == other || made != 2 {
		t.Fatalf("made %d", made)
	}
	releaseA()
	if a.closed != 0 {
		t.Error("closed while it is used")
	}
	releaseB()
	releaseOther()
	if a.closed != 1 || other.closed != 1 {
		t.Errorf("closed %d and %d times; want once each", a.closed, other.closed)
	}
	if c, _, _ := s.take("k", create); c == a {
		t.Error("a closed value was given out")
	}
	if _, _, err := s.take("bad", func() (*closer, error) { return nil, errors.New("no") }); err == nil || s.entries["bad"] != nil {
		t.Error("what could not be made was kept")
	}
}

type closer struct{ closed int }

func (c *closer) Close() error { c.closed++; return nil }

// eventually waits for what happens on its own.
func eventually(t testing.TB, what string, happened func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !happened() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("in vain: %s", what)
		}
	}
}
