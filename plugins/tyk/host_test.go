package main

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	"github.com/TykTechnologies/tyk/apidef"
	"github.com/TykTechnologies/tyk/apidef/oas"
	"github.com/TykTechnologies/tyk/ctx"

	"github.com/phantomgate/phantomgate/plugins/plugintest"
)

// host calls the hooks as a gateway does, for one API: what Tyk itself does between them is left out, but for what the hooks
// are there to cope with. What it shows of a real gateway is in docs/tyk.md.
type host struct {
	shape  shape
	change func(definition map[string]any) // if set
	// hooks, if set, returns what takes the hooks' place, for controls.
	hooks func(h *hooks) (pre, auth, post func(http.ResponseWriter, *http.Request))
}

func (h host) Name() string { return "hooks, " + h.shape.name }

func (h host) Start(t testing.TB, config []byte, upstreamURL string) (plugintest.Gateway, error) {
	log := &logBuffer{}
	hooks := newHooks(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	definition := h.shape.definition(object(t, config), upstreamURL, "phantomgate.so")
	if h.change != nil {
		h.change(definition)
	}
	api := newLoadedAPI(t, h.shape.oas, definition)
	compiled := hooks.definitions.of(api.inject(httptest.NewRequest("GET", "/", nil)))
	if compiled.faults != nil {
		return plugintest.Gateway{}, compiled.faults
	}
	t.Cleanup(compiled.release)
	server := httptest.NewUnstartedServer(api.chain(hooks, upstreamURL, h.hooks))
	server.Config.ErrorLog = slog.NewLogLogger(hooks.logger.Handler(), slog.LevelError)
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return plugintest.Gateway{URL: server.URL, Log: log.String}, nil
}

// loadedAPI is an API definition as a gateway has loaded it: it stays at one address.
type loadedAPI struct {
	classic *apidef.APIDefinition
	oas     *oas.OAS
	doc     document
}

func newLoadedAPI(t testing.TB, openAPI bool, definition map[string]any) *loadedAPI {
	t.Helper()
	a := &loadedAPI{}
	data := text(t, definition)
	if openAPI {
		a.oas = &oas.OAS{Document: data}
	} else {
		a.classic = &apidef.APIDefinition{}
		if err := json.Unmarshal(data, a.classic); err != nil {
			t.Fatal(err)
		}
	}
	doc, err := read(a.inject(httptest.NewRequest("GET", "/", nil)))
	if err != nil {
		t.Fatal(err)
	}
	a.doc = doc
	return a
}

// inject puts the definition into r, as a gateway does before each plugin.
func (a *loadedAPI) inject(r *http.Request) *http.Request {
	c := r.Context()
	if a.oas != nil {
		c = context.WithValue(c, ctx.OASDefinition, a.oas)
	} else {
		c = context.WithValue(c, ctx.Definition, a.classic)
	}
	*r = *r.WithContext(c)
	return r
}

// chain is the way of a request through the API.
func (a *loadedAPI) chain(h *hooks, upstream string, replaced func(*hooks) (pre, auth, post func(http.ResponseWriter, *http.Request))) http.Handler {
	target, err := url.Parse(upstream)
	if err != nil {
		panic(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorLog: slog.NewLogLogger(h.logger.Handler(), slog.LevelError),
	}
	pre := func(w http.ResponseWriter, r *http.Request) { h.guard(w, r, h.pre) }
	auth := func(w http.ResponseWriter, r *http.Request) { h.guard(w, r, h.auth) }
	post := func(w http.ResponseWriter, r *http.Request) { h.guard(w, r, h.post) }
	if replaced != nil {
		pre, auth, post = replaced(h)
	}
	step := func(rw *answered, r *http.Request, hook func(http.ResponseWriter, *http.Request)) bool {
		hook(rw, a.inject(r))
		return !rw.wrote
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rw := &answered{ResponseWriter: w}
		if a.doc.plugins.pre && !step(rw, r, pre) {
			return
		}
		if !a.doc.keyless {
			if !step(rw, r, auth) {
				return
			}
			if ctx.GetSession(r) == nil {
				http.Error(w, "no session", http.StatusBadRequest)
				return
			}
		}
		if a.doc.strips {
			r.Header.Del("Authorization")
		}
		if !a.doc.plugins.post || step(rw, r, post) {
			proxy.ServeHTTP(&corsOnce{ResponseWriter: w}, r)
		}
	})
}

// answered sees whether a hook wrote an answer.
type answered struct {
	http.ResponseWriter
	wrote bool
}

func (w *answered) WriteHeader(status int) { w.wrote = true; w.ResponseWriter.WriteHeader(status) }

func (w *answered) Write(p []byte) (int, error) { w.wrote = true; return w.ResponseWriter.Write(p) }

// corsOnce lets what a hook said of CORS stand in place of what the API says, as Tyk's proxy does.
type corsOnce struct {
	http.ResponseWriter
}

func (w *corsOnce) WriteHeader(status int) {
	for _, name := range []string{"Access-Control-Allow-Origin", "Access-Control-Expose-Headers", "Access-Control-Allow-Credentials"} {
		if h := w.Header(); len(h[name]) > 1 {
			h[name] = h[name][:1]
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *corsOnce) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// logBuffer collects a log that is written from many goroutines.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestSuite(t *testing.T) {
	var running sync.WaitGroup
	for _, shape := range shapes() { // all at once, on however few processors: they mostly wait
		running.Go(func() {
			t.Run(shape.name, func(t *testing.T) { plugintest.Run(t, host{shape: shape}) })
		})
	}
	running.Wait()
}
