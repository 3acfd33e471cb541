package wire

import (
	"net/http/httptest"
	"net/url"
	"testing"
)

func TestRedirect(t *testing.T) {
	for _, test := range []struct {
		name, address string
		more          url.Values
		want          string
	}{
		{"plain", "https://app.example/cb", url.Values{"code": {"a b"}}, "https://app.example/cb?code=a+b"},
		{"with parameters of its own", "https://app.example/cb?x=%2f&y", url.Values{"code": {"c"}}, "https://app.example/cb?x=%2f&y&code=c"},
		{"nothing to add", "https://app.example/cb?x=1", nil, "https://app.example/cb?x=1"},
		{"an app's own scheme", "com.example.app:/cb", url.Values{"code": {"c"}}, "com.example.app:/cb?code=c"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			if err := Redirect(w, test.address, test.more); err != nil {
				t.Fatal(err)
			}
			h := w.Header()
			if w.Code != 303 || h.Get("Location") != test.want || h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "no-referrer" {
				t.Errorf("%d %v, want 303 to %s", w.Code, h, test.want)
			}
		})
	}
	w := httptest.NewRecorder()
	if err := Redirect(w, "https://app.example/%zz", nil); err == nil || len(w.Header()) > 0 {
		t.Errorf("an address that is none: %v, and the header %v was written", err, w.Header())
	}
}
