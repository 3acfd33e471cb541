package plugintest

import (
	"net/http"
	"strings"
)

// pathCases: a path that gateway and upstream could read in two ways is
// refused, so that there is one decision and not two.
func pathCases() []Case {
	return []Case{
		{Name: "path/not in normal form is 400", Check: func(w *Walk) {
			reference := w.Issuer.GrantScopes("eventcatalog.read", "eventcatalog.admin")
			for _, target := range []string{
				"//api/eventcatalog/events", "/api//eventcatalog/events", "/api/eventcatalog/tree//root",
				"/api/./eventcatalog/events", "/api/x/../eventcatalog/events", "/api/eventcatalog/tree/../events",
				"/api/eventcatalog/tree/..", "/api/eventcatalog/tree/.", "/health/../api/eventcatalog/events",
				"/api%2feventcatalog/events", "/api/eventcatalog/tree%2Froot", "/api/eventcatalog/tree/a%5cb",
				"/api/eventcatalog/tree/%2e%2e/events", "/api/eventcatalog/tree/%2e", "/api/eventcatalog/tree/.%2E/events",
				"/api/eventcatalog/tree/%252e%252e/events", "/api/eventcatalog/tree/a%00b", "/api/eventcatalog/tree/%0d%0aX",
				"/api/eventcatalog/tree/%7f", "/api/eventcatalog/tree;x=1/root", "/api/eventcatalog/tree/..;/events",
				"/api/eventcatalog/tree/a%3bb", "/api/eventcatalog/tree/root%3fa", "/api/eventcatalog/tree/root%23", `/api/eventcatalog/tree\root`, `/api/eventcatalog/tree/..\events`,
			} {
				r := w.Raw("GET", target, "Authorization: Bearer "+reference)
				if r.Status != http.StatusBadRequest {
					w.T.Errorf("%s was answered %d; want 400", target, r.Status)
					continue
				}
				w.Refused(r, http.StatusBadRequest, "invalid_request")
			}
			w.NothingPassed()
		}},
		{Name: "path/an open route is no way round", Check: func(w *Walk) {
			for _, target := range []string{"/health/../api/eventcatalog/events", "/health%2f..%2fapi/eventcatalog/events",
				"/health;/../api/eventcatalog/events", "/health%00", "/health%20", "/health/%2e%2e/api/eventcatalog/events",
				`/health\..\api\eventcatalog\events`} {
				if r := w.Raw("GET", target); r.Status == http.StatusOK {
					w.T.Errorf("%s passed as open", target)
				}
			}
			w.NothingPassed()
		}},
		{Name: "path/request targets that are no path", Check: func(w *Walk) {
			reference := w.Issuer.GrantScopes("eventcatalog.read")
			for _, target := range []string{"*", "api/eventcatalog/events", "http://", "/api/eventcatalog/tree/\x01"} {
				if r := w.Raw("GET", target, "Authorization: Bearer "+reference); r.Status < 400 || r.Status > 499 {
					w.T.Errorf("%q was answered %d; want a refusal", target, r.Status)
				}
			}
			w.NothingPassed()
		}},
		{Name: "path/absolute form is judged by its path", Check: func(w *Walk) {
			reference := w.Issuer.GrantScopes("eventcatalog.read")
			w.Refused(w.Raw("GET", w.Gateway.URL+AdminOf, "Authorization: Bearer "+reference),
				http.StatusForbidden, "insufficient_scope")
			w.NothingPassed()
			w.Passed(w.Raw("GET", w.Gateway.URL+Events, "Authorization: Bearer "+reference))
		}},
		{Name: "path/absolute form with another scheme is refused", Check: func(w *Walk) {
			_, host, _ := strings.Cut(w.Gateway.URL, "//")
			reference := w.Issuer.GrantScopes("eventcatalog.read")
			for _, scheme := range []string{"tyk", "TYK", "ftp", "h2c", "javascript"} {
				for _, target := range []string{scheme + "://" + host + Events, scheme + "://self" + Health} {
					if r := w.Raw("GET", target, "Authorization: Bearer "+reference); r.Status < 400 || r.Status > 499 {
						w.T.Errorf("%s was answered %d; want a refusal", target, r.Status)
					}
				}
			}
			w.NothingPassed()
		}},
		{Name: "path/escapes without a second meaning are decided once", Check: func(w *Walk) {
			reference := w.Issuer.GrantScopes("eventcatalog.read")
			// %72 is r: the same path to every reader, so the rule for root holds.
			r := w.Raw("GET", "/api/eventcatalog/tree/%72oot", "Authorization: Bearer "+reference)
			if r.Status == http.StatusOK {
				w.T.Error("an escaped letter got round the more specific rule")
			}
			w.Passed(w.Raw("GET", "/api/eventcatalog/tree/caf%C3%A9%20noir?q=%2f..%2f//", "Authorization: Bearer "+reference))
			if got, _ := w.Upstream.Last(); got.Path != "/api/eventcatalog/tree/caf%C3%A9%20noir?q=%2f..%2f//" {
				w.T.Errorf("the upstream was asked for %s", got.Path)
			}
		}},
	}
}
