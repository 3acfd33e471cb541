package authorize_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
)

// FuzzAuthorize: whatever a stranger sends, it ends at a page or at a registered redirect URI, with no code, and never in a
// fault of ours.
func FuzzAuthorize(f *testing.F) {
	f.Add(good().Encode())
	f.Add(good("prompt", "none", "max_age", "0", "id_token_hint", "a.b.c").Encode())
	f.Add(good("client_id", "mobile", "redirect_uri", "http://127.0.0.1:1/callback", "response_type", "token").Encode())
	f.Add(good("redirect_uri", "https://app.example@evil.example/cb").Encode())
	f.Add("client_id=partner&client_id=x;%zz")
	g := newRig(f)
	f.Fuzz(func(t *testing.T, query string) {
		for _, r := range []*http.Request{
			{Method: http.MethodGet, URL: &url.URL{Path: "/oauth/authorize", RawQuery: query}, Header: http.Header{}},
			httptest.NewRequest(http.MethodPost, "/oauth/authorize", strings.NewReader(query)),
		} {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			rec := httptest.NewRecorder()
			g.server.Config.Handler.ServeHTTP(rec, r)
			location := rec.Header().Get("Location")
			switch rec.Code {
			case http.StatusOK, http.StatusBadRequest:
				if location != "" || strings.Contains(rec.Body.String(), "<script") {
					t.Errorf("%q: a page that redirects, or has a script", query)
				}
			case http.StatusSeeOther:
				to, err := url.Parse(location)
				if err != nil || to.Query().Has("code") || !to.Query().Has("error") || !registered(to) {
					t.Errorf("%q: redirects to %q", query, location)
				}
			default:
				t.Errorf("%q: %d", query, rec.Code)
			}
		}
	})
}

func registered(to *url.URL) bool {
	switch to.Scheme + "://" + to.Hostname() + to.Path {
	case "https://app.example/cb", "https://spa.example/", "http://127.0.0.1/callback":
		return true
	}
	return false
}
