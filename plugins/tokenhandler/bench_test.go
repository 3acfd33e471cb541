package tokenhandler

import (
	"net/http"
	"testing"
)

// BenchmarkOpen is what a cookie costs on the way to an API, beyond what a bearer token costs: origin, cookie and, on a
// POST, the CSRF header.
func BenchmarkOpen(b *testing.B) {
	w := newWalk(b)
	browser := w.loggedIn()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		b.Run(method, func(b *testing.B) {
			r := browser.request(method, "/api/orders", "")
			r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0")
			b.ReportAllocs()
			for b.Loop() {
				if _, refusal := w.handler.Open(r, w.clock.Now()); refusal != nil {
					b.Fatal(refusal)
				}
			}
		})
	}
}

// Cookies that were opened before cost no allocation, the CSRF cookie of a POST included.
func TestOpenAllocates(t *testing.T) {
	w := newWalk(t)
	browser := w.loggedIn()
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		r := browser.request(method, "/api/orders", "")
		got := testing.AllocsPerRun(200, func() {
			if _, refusal := w.handler.Open(r, w.clock.Now()); refusal != nil {
				t.Fatal(refusal)
			}
		})
		if got > 0 {
			t.Errorf("%s allocates %v times; want 0", method, got)
		}
	}
}
