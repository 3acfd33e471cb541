package plugintest

import (
	"net/http"
	"strings"
	"time"
)

// tokenCases: which credentials are a token at all, and what becomes of it.
func tokenCases() []Case {
	return []Case{
		{Name: "token/the upstream sees only the phantom token", Check: onlyPhantomToken},
		{Name: "token/unknown is 401 with a challenge", Check: func(w *Walk) {
			r := w.Get(Events, NewReference())
			w.Refused(r, http.StatusUnauthorized, "invalid_token")
			w.Challenged(r, `error="invalid_token"`)
			w.NothingPassed()
		}},
		{Name: "token/expired is 401", Check: func(w *Walk) {
			reference := w.Issuer.Grant(Token{Scopes: []string{"eventcatalog.read"}, Expires: time.Now().Add(-time.Hour)})
			w.Refused(w.Get(Events, reference), http.StatusUnauthorized, "invalid_token")
			w.NothingPassed()
		}},
		{Name: "token/none is 401 without an error in the challenge", Check: noToken},
		{Name: "token/another scheme is 401", Check: func(w *Walk) {
			reference := w.Issuer.GrantScopes("eventcatalog.read")
			for _, value := range []string{"Basic YTpi", "Basic " + reference, "DPoP " + reference, reference,
				"Bearer" + reference} {
				r := w.Get(Events, "", authorization(value))
				w.Refused(r, http.StatusUnauthorized, "")
			}
			w.NothingPassed()
		}},
		{Name: "token/scheme in any case", Check: func(w *Walk) {
			reference := w.Issuer.GrantScopes("eventcatalog.read")
			for _, scheme := range []string{"Bearer ", "BEARER ", "bearer ", "bEaReR "} {
				w.isSwapped(w.Passed(w.Get(Events, "", authorization(scheme+reference))))
			}
		}},
		{Name: "token/malformed credentials", Check: malformedCredentials},
		{Name: "token/a cached token plus one character is 401", Check: cachedPlusOne},
		{Name: "token/two Authorization headers are 400", Check: func(w *Walk) {
			a, b := w.Issuer.GrantScopes("eventcatalog.read"), w.Issuer.GrantScopes("eventcatalog.read")
			for _, second := range []string{a, b, "x"} {
				r := w.Get(Events, a, func(r *http.Request) { r.Header.Add("Authorization", "Bearer "+second) })
				w.Refused(r, http.StatusBadRequest, "invalid_request")
			}
			w.NothingPassed()
		}},
		{Name: "token/garbage never reaches the issuer", Check: func(w *Walk) {
			good := NewReference()
			damaged := good[:len(good)-1] + string(good[len(good)-1]^1)
			for _, token := range []string{"x", "pgat_", damaged, good[:53], good + "0", "pgat-" + good[5:],
				strings.Repeat("a", 8000), "pgrt_" + good[5:]} {
				w.Refused(w.Get(Events, token), http.StatusUnauthorized, "invalid_token")
			}
			if n := len(w.Issuer.Asked()); n != 0 {
				w.T.Errorf("the issuer was asked %d times", n)
			}
			w.NothingPassed()
		}},
		{Name: "token/a JWT as bearer is refused", Check: jwtBearer},
	}
}

func authorization(value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", value) }
}

// isSwapped checks that got carries one JWT and nothing of the reference.
func (w *Walk) isSwapped(got Received) {
	w.T.Helper()
	if got.Claims() == nil || len(got.Header.Values("Authorization")) != 1 {
		w.T.Errorf("the upstream got no single JWT")
	}
	for name, values := range got.Header {
		if strings.Contains(strings.Join(values, " "), "pgat_") {
			w.T.Errorf("the reference reached the upstream in %s", name)
		}
	}
}

func onlyPhantomToken(w *Walk) {
	reference := w.Issuer.GrantScopes("eventcatalog.read")
	for range 2 { // a miss, then a hit
		got := w.Passed(w.Get(Events+"?page=2", reference))
		w.isSwapped(got)
		if got.Path != Events+"?page=2" {
			w.T.Errorf("the upstream was asked for %s", got.Path)
		}
		if claims := got.Claims(); claims["sub"] != "alice-id" || claims["aud"] != "eventcatalog" {
			w.T.Errorf("claims %v", claims)
		}
	}
	for _, asked := range w.Issuer.Asked() {
		want := Asked{Reference: reference, Audience: "eventcatalog", Scope: "eventcatalog.read",
			Accept: "application/jwt", Secret: gatewayS}
		if asked != want {
			w.T.Errorf("the issuer was asked for audience %q, scope %q as %q (secret as registered: %t)",
				asked.Audience, asked.Scope, asked.Accept, asked.Secret == gatewayS)
		}
	}
}

func noToken(w *Walk) {
	empty := func(r *http.Request) { r.Header["Authorization"] = []string{""} }
	for _, r := range []Response{w.Get(Events, ""), w.Get(Events, "", empty)} {
		w.Refused(r, http.StatusUnauthorized, "")
		if challenge := r.Header.Get("WWW-Authenticate"); strings.Contains(challenge, "error=") {
			w.T.Errorf("the challenge is %q; RFC 6750 wants no error code where no token was sent", challenge)
		}
	}
	w.NothingPassed()
}

// malformedCredentials: a Bearer header that is none may be called 400 or
// 401, but is never passed, and what is in it never reaches the issuer.
func malformedCredentials(w *Walk) {
	reference := w.Issuer.GrantScopes("eventcatalog.read")
	for _, value := range []string{"Bearer", "Bearer ", "Bearer " + reference + " extra", "Bearer " + reference + ",",
		"Bearer\t" + reference, `Bearer "` + reference + `"`, "Bearer token=" + reference, "Bearer é",
		"Bearer " + reference + ", Bearer " + reference} {
		r := w.Get(Events, "", authorization(value))
		if r.Status != http.StatusUnauthorized && r.Status != http.StatusBadRequest {
			w.T.Errorf("a malformed Bearer header was answered %d", r.Status)
		}
	}
	if n := len(w.Issuer.Asked()); n != 0 {
		w.T.Errorf("the issuer was asked %d times", n)
	}
	w.NothingPassed()
}

func cachedPlusOne(w *Walk) {
	reference := w.Issuer.GrantScopes("eventcatalog.read")
	w.Passed(w.Get(Events, reference))
	w.Refused(w.Get(Events, reference+"0"), http.StatusUnauthorized, "invalid_token")
	w.Refused(w.Get(Events, reference+"A"), http.StatusUnauthorized, "invalid_token")
	w.Refused(w.Get(Events, reference[:len(reference)-1]), http.StatusUnauthorized, "invalid_token")
	if n := len(w.Upstream.Received()); n != 1 {
		w.T.Errorf("the upstream got %d requests; want 1", n)
	}
}

// jwtBearer: no route can allow a JWT by name yet, so even the issuer's own
// phantom token is no credential outside.
func jwtBearer(w *Walk) {
	w.Passed(w.Get(Events, w.Issuer.GrantScopes("eventcatalog.read")))
	phantom, _ := w.Upstream.Last()
	asked := len(w.Issuer.Asked())
	w.Refused(w.Get(Events, phantom.Bearer()), http.StatusUnauthorized, "invalid_token")
	if len(w.Issuer.Asked()) != asked {
		w.T.Errorf("the issuer was asked about a JWT")
	}
	if n := len(w.Upstream.Received()); n != 1 {
		w.T.Errorf("the upstream got %d requests; want 1", n)
	}
}
