package plugintest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// issuerCases: what could not be checked is neither passed nor called the
// client's fault: 502, 503 or 504, and never 401 (a 401 would send a SPA into
// a refresh loop and log people out).
func issuerCases() []Case {
	cases := []Case{
		{Name: "issuer/a wrong gateway secret is 502", Config: func(c *Config) {
			c.Issuer["clientSecret"] = "canary-wrong-secret"
		}, Check: func(w *Walk) {
			w.Refused(w.Get(Events, w.Issuer.GrantScopes("eventcatalog.read")), http.StatusBadGateway, "issuer_error")
			w.NothingPassed()
			if strings.Contains(w.Gateway.Log(), "canary-wrong-secret") {
				w.T.Error("the gateway's log holds the wrong secret")
			}
		}},
		{Name: "issuer/too slow is 504 within the budget", Config: func(c *Config) {
			c.Issuer["timeout"] = "200ms"
		}, Check: func(w *Walk) {
			hold := make(chan struct{})
			defer close(hold) // the issuer answers only after the gateway has
			w.Issuer.Behave(Behaviour{Hold: hold})
			w.Refused(w.Get(Events, w.Issuer.GrantScopes("eventcatalog.read")), http.StatusGatewayTimeout, "issuer_timeout")
			w.NothingPassed()
		}},
		{Name: "issuer/down is 503 with Retry-After, never 401", Check: issuerDown},
		{Name: "issuer/down when the gateway starts", Prepare: func(w *Walk) { w.Issuer.Down() }, Check: func(w *Walk) {
			reference := w.Issuer.GrantScopes("eventcatalog.read")
			w.unavailable(w.Get(Events, reference))
			w.Passed(w.Get(Health, ""))
			w.Issuer.Up(w.T)
			w.eventually("the gateway serves once the issuer is there", func() bool {
				return w.Get(Events, reference).Status == http.StatusOK
			})
		}},
		{Name: "issuer/too many at once are 503, not a queue without end", Check: manyAtOnce},
	}
	overloaded := map[string]Behaviour{
		"500":  {Status: 500, ContentType: "text/html", Body: "<h1>oops</h1>"},
		"503":  {Status: 503, ContentType: "application/json", Body: `{}`},
		"429":  {Status: 429, ContentType: "application/json", Body: `{}`},
		"keys": {JWKSStatus: 503},
	}
	for _, name := range slices.Sorted(maps.Keys(overloaded)) {
		b := overloaded[name]
		cases = append(cases, Case{Name: "issuer/overloaded: " + name, Check: func(w *Walk) {
			w.Issuer.Behave(b)
			w.unavailable(w.Get(Events, w.Issuer.GrantScopes("eventcatalog.read")))
			w.NothingPassed()
		}})
	}
	return append(cases, unusableAnswers()...)
}

// unusableAnswers: any body that is no verified phantom token is refused as
// the issuer's fault, `{"active":false}` under the wrong type included.
func unusableAnswers() []Case {
	answers := map[string]Behaviour{
		"400":                     {Status: 400, ContentType: "application/json", Body: `{"error":"invalid_request"}`},
		"404":                     {Status: 404, ContentType: "text/plain", Body: "404 page not found"},
		"302":                     {Status: 302, ContentType: "text/html", Body: "elsewhere"},
		"HTML":                    {Status: 200, ContentType: "text/html", Body: "<h1>Sign in</h1>"},
		"an empty 200":            {Status: 200, ContentType: "application/jwt"},
		"no JWT":                  {Status: 200, ContentType: "application/jwt", Body: "a.b.c"},
		"active false as JWT":     {Status: 200, ContentType: "application/jwt", Body: `{"active":false}`},
		"active true without jwt": {Status: 200, ContentType: "application/json", Body: `{"active":true,"scope":"eventcatalog.read"}`},
		"broken JSON":             {Status: 200, ContentType: "application/json", Body: `{"active":`},
		"a body without end":      {Status: 200, ContentType: "application/jwt", Body: strings.Repeat("a", 1<<20)},
		"a 403 that says nothing": {Status: 403, ContentType: "text/html", Body: "<h1>Forbidden by a firewall</h1>"},
	}
	var cases []Case
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		b := answers[name]
		cases = append(cases, Case{Name: "issuer/unusable answer: " + name, Check: func(w *Walk) {
			w.Issuer.Behave(b)
			w.Refused(w.Get(Events, w.Issuer.GrantScopes("eventcatalog.read")), http.StatusBadGateway, "issuer_error")
			w.NothingPassed()
		}})
	}
	return cases
}

// unavailable checks for the one refusal of what could not be checked now.
func (w *Walk) unavailable(r Response) {
	w.T.Helper()
	w.Refused(r, http.StatusServiceUnavailable, "temporarily_unavailable")
	if r.Header.Get("Retry-After") == "" {
		w.T.Error("a 503 without Retry-After")
	}
}

// issuerDown goes on asking until a circuit breaker would be open, then
// brings the issuer back.
func issuerDown(w *Walk) {
	reference := w.Issuer.GrantScopes("eventcatalog.read")
	w.Issuer.Down()
	for range 30 {
		w.unavailable(w.Get(Events, reference))
	}
	w.NothingPassed()
	w.Issuer.Up(w.T)
	w.eventually("the gateway serves again", func() bool {
		r := w.Get(Events, reference)
		if r.Status == http.StatusUnauthorized {
			w.T.Error("answered 401 for what could not be checked")
		}
		return r.Status == http.StatusOK
	})
}

// manyAtOnce: every reference is another one, so nothing coalesces, and the
// issuer holds its answers and then gives none. Whatever the gateway's budget
// is, all are refused, and not one is passed or called 401.
func manyAtOnce(w *Walk) {
	const clients = 200
	hold := make(chan struct{})
	w.Issuer.Behave(Behaviour{Hold: hold, Status: 503, ContentType: "text/plain"})
	statuses := make([]int, clients)
	var all sync.WaitGroup
	for i := range clients {
		r := w.Request("GET", Events, w.Issuer.GrantScopes("eventcatalog.read"))
		all.Go(func() {
			if response, err := w.send(r); err == nil {
				statuses[i] = response.Status
			}
		})
	}
	w.eventually("the issuer is asked", func() bool { return len(w.Issuer.Asked()) > 0 })
	close(hold)
	all.Wait()
	for _, status := range statuses {
		if status != http.StatusServiceUnavailable {
			w.T.Fatalf("answered %d; want 503", status)
		}
	}
	w.NothingPassed()
}
