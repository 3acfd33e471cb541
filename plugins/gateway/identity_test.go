package gateway

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// TestIdentityHeadersAreRemoved in every spelling that some program between us and the API may take for the same name.
func TestIdentityHeadersAreRemoved(t *testing.T) {
	table := newIdentityTable(append(slices.Clone(identityPatterns), "X-My-User", "Legacy_*"))
	removed := []string{
		"X-User", "X-User-Id", "X-Userinfo", "X-Username", "X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups",
		"X-Forwarded-Preferred-Username", "X-Forwarded-Access-Token", "X-Auth", "X-Auth-Request-User", "X-Authenticated-Userid",
		"X-Remote-User", "Remote-User", "Remote-Groups", "X-Id-Token", "X-Access-Token", "X-Jwt", "X-Jwt-Assertion", "X-Phantom-Token",
		"X-Scope", "X-Scopes", "X-Client-Id", "X-Tenant", "X-Tenant-Id", "X-Sub", "X-Subject", "X-Email", "X-Groups", "X-Roles",
		"X-Introspection", "X-Introspection-Result", "Revocation-Keys", "Revocation-Position", "X-Webauth-User", "Oidc-Claim-Sub",
		"X-Amzn-Oidc-Identity", "X-Ms-Client-Principal-Name", "Cf-Access-Jwt-Assertion",
		"Client-Cert", "Client-Cert-Chain", "X-Client-Cert", "X-Forwarded-Client-Cert", "X-Ssl-Client-Verify", "Ssl-Client-S-Dn",
		"X-Forwarded-Uri", "X-Envoy-Original-Path", "X-Middleware-Subrequest", "X-Tyk-Internal", "X-Http-Method-Override", "X-Original-Url", "X-Rewrite-Url", "X-My-User", "Legacy-User",
	}
	kept := []string{
		"Accept", "Cookie", "Content-Type", "Host", "Origin", "User-Agent", "Referer", "X-Forwarded-For", "X-Forwarded-Proto",
		"X-Forwarded-Host", "X-Request-Id", "X-Requested-With", "X-Real-Ip", "X-Subtotal", "X-Csrf-Token", "Traceparent", "Te", "X", "X-", "If-Match",
		"X-My-Users", "Legacy", "X-Scoped", "Idempotency-Key", "Upgrade", "Sec-Websocket-Key", "",
	}
	for _, name := range removed {
		spellings := []string{
			name, strings.ToLower(name), strings.ToUpper(name), strings.ReplaceAll(name, "-", "_"),
			strings.ToUpper(strings.ReplaceAll(name, "-", "_")), strings.ReplaceAll(name, "-", "."),
		}
		for _, spelling := range spellings {
			h := http.Header{spelling: {"mallory", "twice"}, "Accept": {"*/*"}}
			table.remove(h)
			if len(h) != 1 || h["Accept"] == nil {
				t.Errorf("%s stays", spelling)
			}
		}
	}
	for _, name := range kept {
		h := http.Header{name: {"x"}}
		table.remove(h)
		if len(h) != 1 {
			t.Errorf("%s is removed", name)
		}
	}
}

// TestApplyLeavesOneAuthorization: no second spelling of it, and nothing among the trailers, gets by.
func TestApplyLeavesOneAuthorization(t *testing.T) {
	g, _ := newGateway(t, newFakeIssuer(t, nil), reading("/events", "eventcatalog.read"))
	r := get("/events", newReference(1))
	r.Header["authorization"] = []string{"Bearer mallory"}
	r.Header["AUTHORIZATION"] = []string{"Bearer mallory"}
	r.Header["X_user"] = []string{"mallory"}
	r.Header["Accept"] = []string{"application/json", "text/plain"}
	r.Header["Content-Type"] = []string{"application/json"}
	r.Trailer = http.Header{"X-User": {"mallory"}, "Authorization": {"Bearer mallory"}, "Expires": nil}
	outcome := g.Authorize(r)
	outcome.Apply(r)
	if outcome.Refusal() != nil {
		t.Fatal(outcome.Refusal())
	}
	names := slices.Sorted(maps.Keys(r.Header))
	if got := strings.Join(names, " "); got != "Accept Authorization Content-Type" || len(r.Header["Accept"]) != 2 {
		t.Errorf("headers %v", r.Header)
	}
	if len(r.Trailer) != 0 {
		t.Errorf("trailers %v", r.Trailer)
	}
}

// TestOnlyWebSocketsAreUpgraded: any other protocol would carry requests past the policy.
func TestOnlyWebSocketsAreUpgraded(t *testing.T) {
	for _, test := range []struct {
		upgrade []string
		kept    bool
	}{
		{[]string{"websocket"}, true}, {[]string{"WebSocket"}, true}, {[]string{"h2c"}, false}, {[]string{"h2c, websocket"}, false},
		{[]string{"websocket, h2c"}, false}, {[]string{"websocket", "h2c"}, false}, {[]string{""}, false}, {[]string{"TLS/1.0"}, false},
	} {
		for _, allowed := range []bool{true, false} { // an open route has no other rule
			h := http.Header{"Upgrade": test.upgrade, "Connection": {"Upgrade"}, "Http2-Settings": {"AAMAAABk"}}
			Outcome{allowed: allowed}.Apply(&http.Request{Header: h})
			if _, kept := h["Upgrade"]; kept != test.kept {
				t.Errorf("Upgrade %q: kept %t", test.upgrade, kept)
			}
		}
	}
}

// TestNoTrailersPass: net/http adds them to the request when its body has been read, long after Apply. Hosts forward a
// copy of the request (Caddy a shallow one), which must not get them.
func TestNoTrailersPass(t *testing.T) {
	forwarded := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		Outcome{allowed: true}.Apply(r)
		out := *r
		if _, err := io.Copy(io.Discard, out.Body); err != nil {
			t.Error(err)
		}
		forwarded <- out.Trailer
	}))
	defer server.Close()
	r, err := http.NewRequest("POST", server.URL, struct{ io.Reader }{strings.NewReader("a body")})
	if err != nil {
		t.Fatal(err)
	}
	r.Trailer = http.Header{"X-User": {"mallory"}, "Authorization": {"Bearer mallory"}, "Expires": {"now"}}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if got := <-forwarded; len(got) != 0 {
		t.Errorf("trailers %v", got)
	}
}

// TestConnectionNamesOnlyTheClientsOwn: what the host adds behind Apply would be dropped by the client's Connection header,
// as hop-by-hop, when the host forwards.
func TestConnectionNamesOnlyTheClientsOwn(t *testing.T) {
	for _, test := range []struct{ connection, upgrade, want string }{
		{"close, x-added, X-Own", "", ""}, {"X-Added,upgrade,X-Own", "websocket", "Upgrade"}, {"Upgrade, X-Added, X-Own", "h2c", ""},
		{"upgrade, X-Own", "", ""}, {"X-Own", "websocket", ""},
	} {
		h := http.Header{"Connection": {"keep-alive", test.connection}, "X-Own": {"1"}, "Accept": {"*/*"}}
		if test.upgrade != "" {
			h.Set("Upgrade", test.upgrade)
		}
		Outcome{allowed: true, header: []string{"Bearer jwt"}}.Apply(&http.Request{Header: h})
		if h.Get("Connection") != test.want || h["X-Own"] != nil || h["Accept"] == nil || h["Authorization"] == nil {
			t.Errorf("Connection %q: %v", test.connection, h)
		}
	}
}

func TestCheckIdentityHeader(t *testing.T) {
	for pattern, good := range map[string]bool{
		"X-My-User": true, "x_my_user": true, "My-*": true, "": false, "*": false, "ab": false, "X-*-User": false, "X User": false,
		"X-Üser": false, "X-User:": false, "Authorization": false, "AUTHORIZATION": false, "Auth*": false, "Authorization-Info": true,
	} {
		if err := checkIdentityHeader(pattern); (err == nil) != good {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}
