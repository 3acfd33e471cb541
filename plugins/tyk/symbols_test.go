package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/phantomgate/phantomgate/plugins/plugintest"
)

// TestSymbols: the functions that Tyk looks up do what their hooks do.
func TestSymbols(t *testing.T) {
	symbols := func(*hooks) (pre, auth, post func(http.ResponseWriter, *http.Request)) {
		return PhantomgatePre, PhantomgateAuth, PhantomgatePost
	}
	for _, s := range shapes() {
		w := newWalked(t)
		loaded := w.load(t, s, nil)
		compiled(t, plugin, loaded)
		for reference, want := range map[string]int{w.issuer.GrantScopes("eventcatalog.read"): 200, w.issuer.GrantScopes("shoppingbasket.read"): 403, "x": 401} {
			r := httptest.NewRequest("GET", plugintest.Events, nil)
			r.Header.Set("Authorization", "Bearer "+reference)
			rec := httptest.NewRecorder()
			loaded.chain(w.hooks, w.upstream.URL, symbols).ServeHTTP(rec, r)
			if rec.Code != want {
				t.Errorf("%s: answered %d %s; want %d", s.name, rec.Code, rec.Body, want)
			}
		}
		if got := w.upstream.Received(); len(got) != 1 || got[0].Claims()["aud"] != "eventcatalog" {
			t.Errorf("%s: the API received %v", s.name, got)
		}
	}
}
