package plugintest

import (
	"net/http"
	"strings"
	"time"
)

// policyCases: which rule a request falls under, and what falls under none.
func policyCases() []Case {
	return []Case{
		{Name: "policy/a path without a rule is 404", Check: func(w *Walk) {
			reference := w.Issuer.GrantScopes("eventcatalog.read")
			for _, path := range []string{"/", "/api", "/api/eventcatalog", "/api/eventcatalog/event", Events + "/", Events + "/1",
				"/API/eventcatalog/events", Tree + "x", "/health/", "/healthz"} {
				w.Refused(w.Get(path, reference), http.StatusNotFound, "not_found")
			}
			w.NothingPassed()
		}},
		{Name: "policy/a method without a rule is 405 with Allow", Check: func(w *Walk) {
			reference := w.Issuer.GrantScopes("eventcatalog.read", "eventcatalog.write")
			for _, method := range []string{"DELETE", "PUT", "PATCH", "OPTIONS", "TRACE", "get", "FOO"} {
				r := w.Do(w.Request(method, Events, reference))
				w.Refused(r, http.StatusMethodNotAllowed, "")
				if allow := r.Header.Get("Allow"); !strings.Contains(allow, "GET") || !strings.Contains(allow, "POST") {
					w.T.Errorf("%s: Allow is %q; want GET and POST", method, allow)
				}
			}
			w.NothingPassed()
		}},
		{Name: "policy/HEAD is judged as GET", Check: func(w *Walk) {
			r := w.Do(w.Request("HEAD", Events, w.Issuer.GrantScopes("eventcatalog.read")))
			if got := w.Passed(r); got.Method != "HEAD" || got.Claims()["scope"] != "eventcatalog.read" {
				w.T.Errorf("the upstream got %s with scope %v", got.Method, got.Claims()["scope"])
			}
			r = w.Do(w.Request("HEAD", Events, w.Issuer.GrantScopes("eventcatalog.write")))
			if r.Status != http.StatusForbidden {
				w.T.Errorf("HEAD without the scope of GET was answered %d; want 403", r.Status)
			}
		}},
		{Name: "policy/a method override is not believed", Check: func(w *Walk) {
			got := w.Passed(w.Get(Events, w.Issuer.GrantScopes("eventcatalog.read"), func(r *http.Request) {
				r.Header.Set("X-HTTP-Method-Override", "POST")
			}))
			if got.Method != "GET" || got.Claims()["scope"] != "eventcatalog.read" {
				w.T.Errorf("the upstream got %s with scope %v", got.Method, got.Claims()["scope"])
			}
		}},
		{Name: "policy/the most specific rule wins", Check: func(w *Walk) {
			reader, admin := w.Issuer.GrantScopes("eventcatalog.read"), w.Issuer.GrantScopes("eventcatalog.admin")
			for _, path := range []string{Tree, Tree + "/", Tree + "/a", Tree + "/a/b", AdminOf + "/a", AdminOf + "s"} {
				w.Passed(w.Get(path, reader))
				w.Refused(w.Get(path, admin), http.StatusForbidden, "insufficient_scope")
			}
			w.Passed(w.Get(AdminOf, admin))
			w.Refused(w.Get(AdminOf, reader), http.StatusForbidden, "insufficient_scope")
			// Many an API takes it for AdminOf.
			w.Refused(w.Get(AdminOf+"/", reader), http.StatusNotFound, "not_found")
		}},
		{Name: "policy/an open route asks nobody and forwards no credential", Check: openRoute},
	}
}

func openRoute(w *Walk) {
	reference := w.Issuer.GrantScopes("eventcatalog.read")
	for _, value := range []string{"", "Bearer " + reference, "Bearer x", "Basic YTpi"} {
		got := w.Passed(w.Get(Health, "", func(r *http.Request) {
			if value != "" {
				r.Header.Set("Authorization", value)
			}
			r.Header.Set("X-My-User", "mallory")
		}))
		if sent := got.Header.Values("Authorization"); len(sent) != 0 {
			w.T.Error("a credential went through an open route")
		}
		if got.Header.Get("X-My-User") != "" {
			w.T.Error("an identity header went through an open route")
		}
	}
	if n := len(w.Issuer.Asked()); n != 0 {
		w.T.Errorf("the issuer was asked %d times", n)
	}
}

// stepUpCases: too weak or too old a login (RFC 9470), on a miss and a hit.
func stepUpCases() []Case {
	return []Case{
		{Name: "stepup/acr", Check: func(w *Walk) {
			strong := w.Issuer.Grant(Token{Scopes: []string{"eventcatalog.read"}, ACR: "strong"})
			w.Passed(w.Get(Strong, strong))
			w.Passed(w.Get(Strong, strong))
			for _, acr := range []string{"weak", ""} {
				weak := w.Issuer.Grant(Token{Scopes: []string{"eventcatalog.read"}, ACR: acr})
				w.Passed(w.Get(Events, weak)) // the very token is cached and good elsewhere
				for range 2 {
					r := w.Get(Strong, weak)
					w.Refused(r, http.StatusUnauthorized, "insufficient_user_authentication")
					w.Challenged(r, `error="insufficient_user_authentication"`, `acr_values="strong"`)
				}
			}
		}},
		{Name: "stepup/max_age", Check: func(w *Walk) {
			recent := w.Issuer.Grant(Token{Scopes: []string{"eventcatalog.read"}, AuthAge: time.Minute})
			w.Passed(w.Get(Fresh, recent))
			w.Passed(w.Get(Fresh, recent))
			old := w.Issuer.Grant(Token{Scopes: []string{"eventcatalog.read"}, AuthAge: time.Hour})
			w.Passed(w.Get(Events, old))
			for range 2 {
				r := w.Get(Fresh, old)
				w.Refused(r, http.StatusUnauthorized, "insufficient_user_authentication")
				w.Challenged(r, `error="insufficient_user_authentication"`, `max_age="300"`)
			}
		}},
	}
}
