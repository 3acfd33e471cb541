package plugintest

import (
	"net/http"
	"strings"
)

// narrowingCases: an API gets one audience and its route's scopes, never more
// (promise 8), and scope is judged on hits as on misses.
func narrowingCases() []Case {
	return []Case{
		{Name: "narrowing/one reference, two audiences", Check: twoAudiences},
		{Name: "narrowing/only the route's scopes", Check: routeScopes},
		{Name: "narrowing/another audience's token is 403", Check: func(w *Walk) {
			r := w.Get(Events, w.Issuer.GrantScopes("shoppingbasket.read"))
			w.Refused(r, http.StatusForbidden, "insufficient_scope")
			w.Challenged(r, `error="insufficient_scope"`, `scope="eventcatalog.read"`)
			w.NothingPassed()
		}},
		{Name: "narrowing/scope is judged on a miss and on a hit", Check: scopeOnHit},
		{Name: "narrowing/any of several scopes", Check: func(w *Walk) {
			for _, scope := range []string{"eventcatalog.write", "eventcatalog.admin"} {
				got := w.Passed(w.Get(AnyOf, w.Issuer.GrantScopes(scope, "eventcatalog.read")))
				if got.Claims()["scope"] != scope {
					w.T.Errorf("the upstream got scope %v; want %s", got.Claims()["scope"], scope)
				}
			}
			reference := w.Issuer.GrantScopes("eventcatalog.read")
			for range 2 {
				w.Refused(w.Get(AnyOf, reference), http.StatusForbidden, "insufficient_scope")
			}
		}},
		{Name: "narrowing/all of several scopes", Config: func(c *Config) {
			c.Routes[0]["scopes"] = map[string]any{"all": []string{"eventcatalog.read", "eventcatalog.write"}}
		}, Check: func(w *Walk) {
			w.Passed(w.Get(Events, w.Issuer.GrantScopes("eventcatalog.read", "eventcatalog.write")))
			reference := w.Issuer.GrantScopes("eventcatalog.read")
			for range 2 { // the issuer narrows to the half the token has: the gateway must count
				r := w.Get(Events, reference)
				w.Refused(r, http.StatusForbidden, "insufficient_scope")
				w.Challenged(r, "eventcatalog.write")
			}
		}},
	}
}

// twoAudiences sends one reference to two APIs, each twice and in turn, so
// that a cache that forgets what was asked hands one API the other's token.
func twoAudiences(w *Walk) {
	reference := w.Issuer.GrantScopes("eventcatalog.read", "eventcatalog.write", "shoppingbasket.read", "discount.fullaccess")
	for range 2 {
		events := w.Passed(w.Get(Events, reference)).Claims()
		if events["aud"] != "eventcatalog" || events["scope"] != "eventcatalog.read" || events["region"] != "eu" {
			w.T.Errorf("eventcatalog got aud %v, scope %v, region %v", events["aud"], events["scope"], events["region"])
		}
		basket := w.Passed(w.Get(Basket, reference)).Claims()
		if basket["aud"] != "shoppingbasket" || basket["scope"] != "shoppingbasket.read" || basket["region"] != nil {
			w.T.Errorf("shoppingbasket got aud %v, scope %v, region %v", basket["aud"], basket["scope"], basket["region"])
		}
	}
}

func routeScopes(w *Walk) {
	reference := w.Issuer.GrantScopes("eventcatalog.read", "eventcatalog.write", "eventcatalog.admin")
	for range 2 {
		for method, want := range map[string]string{"GET": "eventcatalog.read", "POST": "eventcatalog.write"} {
			r := w.Request(method, Events, reference)
			if got := w.Passed(w.Do(r)).Claims()["scope"]; got != want {
				w.T.Errorf("%s: the upstream got scope %v; want %s", method, got, want)
			}
		}
	}
}

// scopeOnHit: the reference is cached for one route, then tried on another
// of the same audience, which asks for more.
func scopeOnHit(w *Walk) {
	reference := w.Issuer.GrantScopes("eventcatalog.read")
	post := func() Response { return w.Do(w.Request("POST", Events, reference)) }
	w.Refused(post(), http.StatusForbidden, "insufficient_scope")
	w.Passed(w.Get(Events, reference))
	for range 3 {
		r := post()
		w.Refused(r, http.StatusForbidden, "insufficient_scope")
		w.Challenged(r, `scope="eventcatalog.write"`)
	}
	for _, received := range w.Upstream.Received() {
		if received.Method != "GET" || !strings.HasPrefix(received.Path, Events) {
			w.T.Errorf("%s %s reached the upstream", received.Method, received.Path)
		}
	}
}
