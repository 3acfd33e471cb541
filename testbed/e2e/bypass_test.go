package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// TestTheAPIBelievesNobody goes past the gateway, as somebody inside the network can, with whatever they may have got hold
// of. The control is the narrow phantom token, which is what the gateway sends, and passes.
func TestTheAPIBelievesNobody(t *testing.T) {
	w := inProcess(t)
	token := w.logIn(t, "mobile", "alice", "openid", "eventcatalog.read", "shoppingbasket.read")
	phantom := func(audience string) string {
		values := url.Values{"token": {token.AccessToken}}
		if audience != "" {
			values.Set("audience", audience)
		}
		return w.jwt(t, "/oauth/introspect", values)
	}
	for name, c := range map[string]struct {
		authorization []string
		want          int
	}{
		"the narrow phantom token":     {[]string{"Bearer " + phantom("eventcatalog")}, http.StatusOK},
		"one for all its audiences":    {[]string{"Bearer " + phantom("")}, http.StatusUnauthorized},
		"another API's":                {[]string{"Bearer " + phantom("shoppingbasket")}, http.StatusUnauthorized},
		"the reference itself":         {[]string{"Bearer " + token.AccessToken}, http.StatusUnauthorized},
		"an ID token":                  {[]string{"Bearer " + idToken(t, token.Extra("id_token"))}, http.StatusUnauthorized},
		"a changed signature":          {[]string{"Bearer " + flipped(phantom("eventcatalog"))}, http.StatusUnauthorized},
		"the gateway's own credential": {[]string{"Basic Z2F0ZXdheTpnYXRld2F5LWRlbW8tc2VjcmV0"}, http.StatusUnauthorized},
		"nothing but headers":          {nil, http.StatusUnauthorized},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.demo.EventcatalogURL+events, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header["Authorization"] = c.authorization
		for _, header := range []string{"X-User", "X-Forwarded-User", "X-Userinfo"} {
			req.Header.Set(header, "alice")
		}
		if got := w.do(t, req); got.status != c.want {
			t.Errorf("%s: status %d, want %d: %s", name, got.status, c.want, got.body)
		}
	}
}

// jwt asks the issuer for a token's phantom token, as the gateway does.
func (w *walk) jwt(t *testing.T, path string, values url.Values) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.demo.IssuerURL+path, strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/jwt")
	req.SetBasicAuth("gateway", secretOf("gateway"))
	got := w.do(t, req)
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/jwt" {
		t.Fatalf("introspection: status %d, %s", got.status, got.header.Get("Content-Type"))
	}
	return string(got.body)
}

func idToken(t *testing.T, value any) string {
	t.Helper()
	s, ok := value.(string)
	if !ok || s == "" {
		t.Fatal("the login gave no ID token")
	}
	return s
}

// flipped changes the first character of a JWT's signature.
func flipped(jwt string) string {
	at := strings.LastIndexByte(jwt, '.') + 1
	other := "A"
	if jwt[at] == 'A' {
		other = "B"
	}
	return jwt[:at] + other + jwt[at+1:]
}
