package plugintest

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// headerCases: identity headers from outside never reach an API (promise 7),
// and whatever else the caller sent reaches it unchanged.
func headerCases() []Case {
	return []Case{
		{Name: "headers/identity headers from outside are removed", Check: identityHeaders},
		{Name: "headers/a configured identity header is removed too", Check: func(w *Walk) {
			w.noneArrives("X-My-User")
		}},
		{Name: "headers/Connection cannot have the token dropped", Check: func(w *Walk) {
			// To a proxy such a name is hop-by-hop: it would forward the request without the phantom token.
			for _, value := range []string{"authorization", "close, Authorization", "keep-alive,AUTHORIZATION"} {
				reference := w.Issuer.GrantScopes("eventcatalog.read")
				answer := w.Get(Events, reference, func(r *http.Request) { r.Header.Set("Connection", value) })
				w.Refused(answer, http.StatusBadRequest, "invalid_request")
			}
		}},
		{Name: "headers/only a WebSocket is upgraded", Check: func(w *Walk) {
			// After a change to h2c the gateway would pass on whatever the client asks for next.
			for _, path := range []string{Events, Health} {
				w.Passed(w.Raw("GET", path, "Authorization: Bearer "+w.Issuer.GrantScopes("eventcatalog.read"),
					"Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"))
				got, _ := w.Upstream.Last()
				if got.Header.Get("Upgrade") != "" || got.Header.Get("Connection") != "" {
					w.T.Errorf("an upgrade to %s reached the upstream", got.Header.Get("Upgrade"))
				}
			}
		}},
		{Name: "headers/a 16 kB phantom token beside 44 browser headers", Check: bigToken},
		{Name: "headers/Accept, Content-Type and body are the caller's own", Check: callersOwn},
		{Name: "headers/the issuer's answer headers are not forwarded", Check: func(w *Walk) {
			got := w.Passed(w.Get(Events, w.Issuer.GrantScopes("eventcatalog.read")))
			for _, name := range []string{"Revocation-Keys", "Revocation-Position", "Cache-Control"} {
				if _, there := got.Header[name]; there {
					w.T.Errorf("%s reached the upstream", name)
				}
			}
		}},
	}
}

// identityHeaders tries the names that APIs behind gateways are known to
// trust.
func identityHeaders(w *Walk) {
	for _, name := range []string{
		"X-User", "X-User-Id", "X-Forwarded-User", "X-Forwarded-User-Roles", "X-Auth-User", "X-Auth-Request-Email",
		"X-Remote-User", "Remote-User", "X-Userinfo", "X-Id-Token", "X-Access-Token", "X-Jwt-Claims", "X-Phantom-Token",
		"X-Scope", "X-Scopes", "X-Client-Id", "X-Tenant", "X-Tenant-Id", "X-Sub", "X-Subject", "X-Email", "X-Groups",
		"X-Roles", "X-Introspection-Response", "Revocation-Keys", "Revocation-Position",
	} {
		w.noneArrives(name)
	}
}

// noneArrives sends name in every spelling an API may take for it.
func (w *Walk) noneArrives(name string) {
	w.T.Helper()
	reference := w.Issuer.GrantScopes("eventcatalog.read")
	underscored := strings.ReplaceAll(name, "-", "_")
	half := strings.Replace(name, "-", "_", 1)
	got := w.Passed(w.Get(Events, reference, func(r *http.Request) {
		for _, spelling := range []string{name, strings.ToLower(name), strings.ToUpper(name),
			underscored, strings.ToLower(underscored), strings.ToUpper(underscored), half} {
			r.Header[spelling] = []string{"mallory", "mallory again"}
		}
	}))
	for arrived := range got.Header {
		if strings.EqualFold(strings.ReplaceAll(arrived, "_", "-"), name) {
			w.T.Errorf("%s reached the upstream as %s", name, arrived)
		}
	}
}

func bigToken(w *Walk) {
	padding := strings.Repeat("0123456789abcdef", 768) // 12 KiB, 16 in base64
	w.Issuer.Behave(Behaviour{Mint: func(_ map[string]any, claims jwt.MapClaims) { claims["padding"] = padding }})
	reference := w.Issuer.GrantScopes("eventcatalog.read")
	for range 2 {
		got := w.Passed(w.Get(Events, reference, func(r *http.Request) {
			for i := range 44 {
				r.Header.Set(fmt.Sprintf("Sec-Test-%d", i), strings.Repeat("v", 60+i))
			}
		}))
		if got.Claims()["padding"] != padding {
			w.T.Error("the phantom token did not arrive whole")
		}
		for i := range 44 {
			if got.Header.Get(fmt.Sprintf("Sec-Test-%d", i)) != strings.Repeat("v", 60+i) {
				w.T.Errorf("browser header %d did not arrive whole", i)
			}
		}
	}
}

func callersOwn(w *Walk) {
	reference := w.Issuer.GrantScopes("eventcatalog.write")
	for range 2 {
		got := w.Passed(w.Do(w.Request("POST", Events, reference, func(r *http.Request) {
			r.Header.Set("Accept", "text/csv;q=0.5, application/x-own")
			r.Header.Set("Content-Type", "application/x-own; charset=ebcdic")
			r.Header.Set("Cookie", "theme=dark")
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("a body")), int64(len("a body"))
		})))
		for name, want := range map[string]string{"Accept": "text/csv;q=0.5, application/x-own",
			"Content-Type": "application/x-own; charset=ebcdic", "Cookie": "theme=dark"} {
			if got.Header.Get(name) != want {
				w.T.Errorf("%s arrived as %q; want %q", name, got.Header.Get(name), want)
			}
		}
		if got.Body != "a body" {
			w.T.Errorf("the body arrived as %q", got.Body)
		}
	}
}
