package caddy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/plugins/plugintest"
)

// TestNoTrailersPass: Caddy forwards a shallow copy of the request, which trailers that come after the body would reach.
func TestNoTrailersPass(t *testing.T) {
	w := walk(t, server{})
	got := make(chan http.Header, 1)
	w.Upstream.Handle(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // what counts is what came with it
		got <- r.Trailer
	})
	r := w.Request("GET", plugintest.Tree, w.Issuer.GrantScopes("eventcatalog.read"))
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader("a body")), -1
	r.Trailer = http.Header{"X-User": {"mallory"}, "Authorization": {"Bearer mallory"}}
	w.Passed(w.Do(r))
	if trailers := <-got; len(trailers) != 0 {
		t.Errorf("the upstream got the trailers %v", trailers)
	}
}
