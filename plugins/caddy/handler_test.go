package caddy

import (
	"net/http"
	"net/http/httptest"
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
