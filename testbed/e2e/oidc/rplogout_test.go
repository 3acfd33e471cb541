package oidc

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// TestRPInitiatedLogout runs modules of the plan oidcc-rp-initiated-logout-certification-test-plan, by the suite's names:
// where the browser ends, and whether the person is still signed in. A page that asks is not an answer yet.
func TestRPInitiatedLogout(t *testing.T) {
	const goodbye = "https://app.example/goodbye"
	for name, c := range map[string]struct {
		params func(hint string) url.Values
		at     string // where the browser ends; "" is a page of ours
		status int
		asked  bool
		out    bool
	}{
		"oidcc-rp-initiated-logout": {func(hint string) url.Values {
			return rptest.Form("id_token_hint", hint, "post_logout_redirect_uri", goodbye, "state", "s")
		}, goodbye + "?state=s", http.StatusOK, false, true},
		"oidcc-rp-initiated-logout-no-state": {func(hint string) url.Values {
			return rptest.Form("id_token_hint", hint, "post_logout_redirect_uri", goodbye)
		}, goodbye, http.StatusOK, false, true},
		"oidcc-rp-initiated-logout-no-post-logout-redirect-uri": {func(hint string) url.Values {
			return rptest.Form("id_token_hint", hint, "state", "s")
		}, "", http.StatusOK, false, true},
		"oidcc-rp-initiated-logout-bad-post-logout-redirect-uri": {func(hint string) url.Values {
			return rptest.Form("id_token_hint", hint, "post_logout_redirect_uri", goodbye+"/x", "state", "s")
		}, "", http.StatusBadRequest, false, false},
		"oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri": {func(hint string) url.Values {
			return rptest.Form("id_token_hint", hint, "post_logout_redirect_uri", goodbye+"?x=1", "state", "s")
		}, "", http.StatusBadRequest, false, false},
		"oidcc-rp-initiated-logout-bad-id-token-hint": {func(string) url.Values {
			return rptest.Form("id_token_hint", "a.b.c", "post_logout_redirect_uri", goodbye, "state", "s")
		}, "", http.StatusBadRequest, false, false},
		"oidcc-rp-initiated-logout-modified-id-token-hint": {func(hint string) url.Values {
			return rptest.Form("id_token_hint", hint[:len(hint)-6]+"AAAAAA", "post_logout_redirect_uri", goodbye, "state", "s")
		}, "", http.StatusBadRequest, false, false},
		"oidcc-rp-initiated-logout-no-id-token-hint": {func(string) url.Values {
			return rptest.Form("post_logout_redirect_uri", goodbye, "state", "s")
		}, "", http.StatusBadRequest, false, false},
		"oidcc-rp-initiated-logout-no-params":  {func(string) url.Values { return nil }, "", http.StatusOK, true, false},
		"oidcc-rp-initiated-logout-only-state": {func(string) url.Values { return rptest.Form("state", "s") }, "", http.StatusOK, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := rptest.New(t, rptest.Options{})
			b := w.Browser(t)
			tokens := w.TokensFor(t, b, "alice", rptest.Web().Ask("openid catalogue.read"))
			page, err := b.Open(t.Context(), w.URL+"/oauth/logout?"+c.params(tokens.ID).Encode())
			if err != nil {
				t.Fatal(err)
			}
			asked := page.Form != nil && page.Form.Fields["decision"]
			if page.Status != c.status || asked != c.asked || c.at != "" && page.URL.String() != c.at || c.at == "" && !strings.HasPrefix(page.URL.String(), w.URL) {
				t.Errorf("%d at %s, asked %v", page.Status, page.URL, asked)
			}
			if out := !w.Active(t, tokens.Access); out != c.out {
				t.Errorf("signed out: %v, want %v", out, c.out)
			}
			if c.asked {
				rptest.Submit(t, b, page, "decision", "leave")
			}
			if c.out || c.asked {
				if page := w.Open(t, b, rptest.Web().Ask("openid")); !asksPassword(page) || w.Active(t, tokens.Access) {
					t.Error("after the logout the person is still signed in")
				}
			}
		})
	}
}
