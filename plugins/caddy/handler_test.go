package caddy

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/phantomgate/phantomgate/plugins/gateway"
	"github.com/phantomgate/phantomgate/plugins/plugintest"
)

// cachedRequest returns a handler that has the token of the request in its cache, and a function that makes the
// request anew, as a server would.
func cachedRequest(t testing.TB) (h *Handler, again func() *http.Request) {
	issuer := plugintest.NewIssuer(t)
	config, err := gateway.Parse(plugintest.NewConfig(issuer.URL).JSON(t))
	if err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(config, gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h = &Handler{gateway: g}
	t.Cleanup(func() { h.Cleanup() })
	r := httptest.NewRequest("GET", plugintest.Events, nil)
	outside := []string{"Bearer " + issuer.GrantScopes("eventcatalog.read")}
	again = func() *http.Request {
		r.Header["Authorization"] = outside
		return r
	}
	if refusal := g.Authorize(again()).Refusal(); refusal != nil {
		t.Fatal(refusal)
	}
	return h, again
}

// TestAFeedThatIsNotStarted: what is asked for before the app starts, and after it has stopped, is asked of the issuer.
func TestAFeedThatIsNotStarted(t *testing.T) {
	issuer := plugintest.NewIssuer(t)
	suite := plugintest.NewConfig(issuer.URL)
	delete(suite.Issuer, "noFeed")
	config, err := gateway.Parse(suite.JSON(t))
	if err != nil {
		t.Fatal(err)
	}
	app := &App{}
	if app.heard, err = gateway.NewFeed(config, gateway.Options{}); err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(config, gateway.Options{Feed: app.heard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { g.Close() })
	t.Cleanup(func() { app.Cleanup() })
	reference := issuer.GrantScopes("eventcatalog.read")
	asked := func(times, want int) {
		t.Helper()
		before := issuer.AskedAbout(reference)
		for range times {
			r := httptest.NewRequest("GET", plugintest.Events, nil)
			r.Header.Set("Authorization", "Bearer "+reference)
			if refusal := g.Authorize(r).Refusal(); refusal != nil {
				t.Fatal(refusal)
			}
		}
		if got := issuer.AskedAbout(reference) - before; got != want {
			t.Errorf("the issuer was asked %d times about %d requests, want %d", got, times, want)
		}
	}
	asked(3, 3)
	if issuer.FeedStreamsMade() != 0 {
		t.Error("there is a stream before the start")
	}
	if err := app.Start(); err != nil {
		t.Fatal(err)
	}
	for !issuer.FeedHeard() {
		runtime.Gosched()
	}
	asked(3, 1)
	if err := app.Stop(); err != nil {
		t.Fatal(err)
	}
	asked(3, 3)
	if issuer.FeedStreams() != 0 {
		t.Error("there is a stream after the stop")
	}
}

// TestAllocations: the binding adds none to the core's.
func TestAllocations(t *testing.T) {
	h, again := cachedRequest(t)
	w := httptest.NewRecorder()
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	binding := testing.AllocsPerRun(1000, func() {
		if err := h.ServeHTTP(w, again(), next); err != nil {
			t.Fatal(err)
		}
	})
	core := testing.AllocsPerRun(1000, func() {
		r := again()
		outcome := h.gateway.Authorize(r)
		if outcome.Refusal() == nil {
			outcome.Apply(r)
		}
	})
	if binding > core {
		t.Errorf("a cached request makes %v allocations; the core alone, %v", binding, core)
	}
}

// BenchmarkServeHTTP is one cached request through the handler.
func BenchmarkServeHTTP(b *testing.B) {
	h, again := cachedRequest(b)
	w := httptest.NewRecorder()
	next := caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil })
	b.ReportAllocs()
	for b.Loop() {
		if err := h.ServeHTTP(w, again(), next); err != nil {
			b.Fatal(err)
		}
	}
}
