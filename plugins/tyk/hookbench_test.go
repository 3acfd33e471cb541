package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/TykTechnologies/tyk/ctx"

	"github.com/phantomgate/phantomgate/plugins/plugintest"
)

// cachedHook returns one call of a hook for a request whose token is cached. The request's context is as deep as it is in a
// gateway by then.
func cachedHook(tb testing.TB, s shape, hook func(h *hooks) hook) func() {
	issuer := plugintest.NewIssuer(tb)
	h := newHooks(discard())
	loaded := newLoadedAPI(tb, s.oas, s.definition(object(tb, plugintest.NewConfig(issuer.URL).JSON(tb)), "http://127.0.0.1", "p.so"))
	if a := compiled(tb, h, loaded); a.faults != nil {
		tb.Fatal(a.faults)
	}
	authorization := []string{"Bearer " + issuer.Grant(plugintest.Token{Scopes: []string{"eventcatalog.read"}})}
	deep := context.Background()
	for key := range 12 {
		deep = context.WithValue(deep, ctx.Key(100+key), key)
	}
	fresh := httptest.NewRequest("GET", plugintest.Events, nil).WithContext(deep)
	header := http.Header{"User-Agent": {"curl/8"}, "Accept": {"*/*"}, "Accept-Encoding": {"gzip"}}
	called := hook(h)
	w := &unwritten{header: http.Header{}}
	call := func() {
		r := *fresh
		r.Header = header
		header["Authorization"] = authorization
		h.guard(w, loaded.inject(&r), called)
		if w.wrote {
			tb.Fatal("the hook has answered")
		}
	}
	call() // the issuer is asked
	return call
}

// unwritten is a writer to which nothing should be written.
type unwritten struct {
	header http.Header
	wrote  bool
}

func (w *unwritten) Header() http.Header         { return w.header }
func (w *unwritten) WriteHeader(int)             { w.wrote = true }
func (w *unwritten) Write(p []byte) (int, error) { w.wrote = true; return len(p), nil }

// only returns s with one of our symbols.
func only(s shape, keyless bool) shape {
	whole := s.definition
	s.definition = func(config map[string]any, upstream, plugin string) map[string]any {
		d := whole(config, upstream, plugin)
		custom := at(d, "custom_middleware")
		delete(custom, "post")
		if keyless {
			d["use_keyless"] = true
			delete(custom, "auth_check")
		} else {
			delete(custom, "pre")
		}
		return d
	}
	return s
}

func hookCases() []hookCase {
	all := shapes()[1]
	return []hookCase{
		{"pre alone", only(all, true), func(h *hooks) hook { return h.pre }, 1},
		{"pre", all, func(h *hooks) hook { return h.pre }, 4},
		{"auth alone", only(all, false), func(h *hooks) hook { return h.auth }, 5},
		{"auth", all, func(h *hooks) hook { return h.auth }, 8},
	}
}

type hookCase struct {
	name   string
	shape  shape
	hook   func(h *hooks) hook
	allocs float64
}

// TestHookAllocations keeps what guard's comment says.
func TestHookAllocations(t *testing.T) {
	nothing := func(http.ResponseWriter, *http.Request, *api) (passed, bool) { return passed{}, true }
	frame := testing.AllocsPerRun(500, cachedHook(t, only(shapes()[1], true), func(*hooks) hook { return nothing }))
	for _, c := range hookCases() {
		if n := testing.AllocsPerRun(500, cachedHook(t, c.shape, c.hook)) - frame; n != c.allocs {
			t.Errorf("%s: %v allocations; want %v", c.name, n, c.allocs)
		}
	}
}

func BenchmarkHook(b *testing.B) {
	for _, c := range hookCases() {
		b.Run(c.name, func(b *testing.B) {
			call := cachedHook(b, c.shape, c.hook)
			b.ReportAllocs()
			for b.Loop() {
				call()
			}
		})
	}
}
