package plugintest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// browserFaults are mistakes in what a gateway does for browsers.
var browserFaults = []fault{
	{name: "has no OAuth agent", binding: wrapped(withoutAgent),
		fails: []string{"agent/log*", "agent/refresh*", "cookies/OPTIONS*"}},
	{name: "forwards every cookie", binding: wrapped(forwardsCookies), says: "got the cookies", fails: []string{"cookies/become*"}},
	{name: "forwards the CSRF token", binding: wrapped(forwardsCSRF), says: "got the CSRF token", fails: []string{"cookies/become*"}},
	{name: "trusts a foreign origin", binding: reverseProxy{config: trustsForeign},
		fails: []string{"cookies/OPTIONS*", "cookies/a cross-origin*", "cookies/a WebSocket*", "cookies/another*"}},
	{name: "asks for no CSRF token", binding: wrapped(forgetsCSRF),
		fails: []string{"cookies/POST*", "cookies/another*", "cookies/a damaged*"}},
	{name: "tells the browser nothing", binding: wrapped(tellsNothing),
		fails: []string{"cookies/become*", "cookies/refusals*", "cookies/renewed*", "cookies/the API's*"}},
	{name: "leaves the API's CORS headers", binding: wrapped(leavesCORS), says: "cannot be read", fails: []string{"cookies/the API's*"}},
	{name: "passes whatever has a cookie", binding: wrapped(passesCookies),
		fails: []string{"cookies/a damaged*", "cookies/POST*", "cookies/a cross*", "cookies/a WebSocket*", "agent/logout from*"}},
	{name: "tells damages apart", binding: wrapped(tellsDamages), says: "told apart", fails: []string{"cookies/a damaged*"}},
	{name: "reads one Cookie header", binding: wrapped(readsOneCookie), fails: []string{"cookies/split*"}},
	{name: "takes cookies only", binding: reverseProxy{config: takesCookiesOnly}, fails: []string{"cookies/a bearer*"}},
	{name: "takes any Authorization for enough", binding: wrapped(anyAuthorization), fails: []string{"cookies/another*"}},
	{name: "never renews", binding: wrapped(neverRenews), says: "", fails: []string{"cookies/renewed*"}},
	{name: "ends no cookie", binding: wrapped(endsNoCookie), says: "",
		fails: []string{"agent/logout", "agent/refresh fails", "agent/logout from*"}},
	{name: "logs everybody in", binding: wrapped(answers("/login/end", 200, `{"handled":true,"isLoggedIn":true,"csrf":"x"}`)),
		fails: []string{"agent/login's*", "agent/login,*"}},
	{name: "says yes to every refresh", binding: wrapped(answers("/refresh", 204, "")), fails: []string{"agent/refresh", "agent/refresh fails"}},
	{name: "ends the session at every failure",
		binding: wrapped(answers("/refresh", 401, `{"code":"session_expired","message":"x"}`)), fails: []string{"agent/refresh fails"}},
	{name: "does not listen to the issuer", binding: wrapped(answers("/backchannel-logout", 200, "")), fails: []string{"agent/logout from*"}},
	{name: "revokes nothing", binding: reverseProxy{transport: func() http.RoundTripper { return keepsGrants{} }},
		says: "live after the logout", fails: []string{"agent/logout"}},
	{name: "logs the login", binding: wrapped(logsLogin), says: "log holds a code", fails: []string{"agent/login,*"}},
	{name: "starts whatever the config", binding: reverseProxy{lenient: true}, says: "the gateway started", fails: []string{"agent/config*"}},
}

// serving is authorized with a hand on each step: what comes before, what the
// request becomes, and what the answer is written to.
type serving struct {
	before func(w http.ResponseWriter, r *http.Request) (answered bool)
	after  func(r *http.Request, before http.Header)
	refuse func(w http.ResponseWriter, r *http.Request, o gateway.Outcome)
	writer func(w http.ResponseWriter, o gateway.Outcome) http.ResponseWriter
}

func (s serving) wrap(c *core, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.before != nil && s.before(w, r) || c.ServeAgent(w, r) {
			return
		}
		outcome := c.Authorize(r)
		if refusal := outcome.Refusal(); refusal != nil && s.refuse != nil {
			s.refuse(w, r, outcome)
			return
		} else if refusal != nil {
			refusal.Write(w)
			return
		}
		headers := r.Header.Clone()
		outcome.Apply(r)
		if s.after != nil {
			s.after(r, headers)
		}
		answer := outcome.Writer
		if s.writer != nil {
			answer = func(w http.ResponseWriter) http.ResponseWriter { return s.writer(w, outcome) }
		}
		next.ServeHTTP(answer(w), r)
	})
}

func withoutAgent(c *core, next http.Handler) http.Handler {
	return passing(c, next, func(_ http.ResponseWriter, r *http.Request, o gateway.Outcome) { o.Apply(r) })
}

func forwardsCookies(c *core, next http.Handler) http.Handler {
	return serving{after: func(r *http.Request, before http.Header) { r.Header["Cookie"] = before["Cookie"] }}.wrap(c, next)
}

func forwardsCSRF(c *core, next http.Handler) http.Handler {
	return serving{after: func(r *http.Request, before http.Header) { r.Header.Set(csrfHeader, before.Get(csrfHeader)) }}.wrap(c, next)
}

func trustsForeign(c *gateway.Config) {
	c.TokenHandler.Origins = append(c.TokenHandler.Origins, foreignOrigin)
}

func takesCookiesOnly(c *gateway.Config) { c.TokenHandler.AllowBearer = false }

// forgetsCSRF judges a POST that brings cookies as the GET of the same route
// would be, and the token is not looked at.
func forgetsCSRF(c *core, next http.Handler) http.Handler {
	plain := serving{}.wrap(c, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodPost || r.URL.Path != Events {
			plain.ServeHTTP(w, r)
			return
		}
		judged := r.Clone(r.Context())
		judged.Method = http.MethodGet
		outcome := c.Authorize(judged)
		if refusal := outcome.Refusal(); refusal != nil {
			refusal.Write(w)
			return
		}
		outcome.Apply(r)
		next.ServeHTTP(w, r)
	})
}

func tellsNothing(c *core, next http.Handler) http.Handler {
	return serving{
		refuse: func(w http.ResponseWriter, _ *http.Request, o gateway.Outcome) {
			refusal := *o.Refusal()
			refusal.Header = nil
			refusal.Write(w)
		},
		writer: func(w http.ResponseWriter, _ gateway.Outcome) http.ResponseWriter { return w },
	}.wrap(c, next)
}

func leavesCORS(c *core, next http.Handler) http.Handler {
	return serving{writer: func(w http.ResponseWriter, o gateway.Outcome) http.ResponseWriter {
		o.Writer(w)
		return w
	}}.wrap(c, next)
}

func passesCookies(c *core, next http.Handler) http.Handler {
	return serving{refuse: func(w http.ResponseWriter, r *http.Request, o gateway.Outcome) {
		if r.Header.Get("Cookie") == "" {
			o.Refusal().Write(w)
			return
		}
		next.ServeHTTP(w, r)
	}}.wrap(c, next)
}

func tellsDamages(c *core, next http.Handler) http.Handler {
	return serving{refuse: func(w http.ResponseWriter, r *http.Request, o gateway.Outcome) {
		refusal := *o.Refusal()
		refusal.Description = fmt.Sprintf("cookies of %d bytes", len(r.Header.Get("Cookie")))
		refusal.Write(w)
	}}.wrap(c, next)
}

func readsOneCookie(c *core, next http.Handler) http.Handler {
	return serving{before: func(_ http.ResponseWriter, r *http.Request) bool {
		if lines := r.Header["Cookie"]; len(lines) > 1 {
			r.Header["Cookie"] = lines[:0]
		}
		return false
	}}.wrap(c, next)
}

func anyAuthorization(c *core, next http.Handler) http.Handler {
	return serving{before: func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != Events || r.Header.Get("Authorization") == "" {
			return false
		}
		next.ServeHTTP(w, r)
		return true
	}}.wrap(c, next)
}

// neverRenews drops the new cookies that an API's answer should carry.
func neverRenews(c *core, next http.Handler) http.Handler {
	return serving{writer: func(w http.ResponseWriter, o gateway.Outcome) http.ResponseWriter {
		told := httptest.NewRecorder()
		o.Writer(told)
		for name, values := range told.Header() {
			if name != "Set-Cookie" {
				w.Header()[name] = values
			}
		}
		return w
	}}.wrap(c, next)
}

// endsNoCookie takes from every answer what would end a cookie.
func endsNoCookie(c *core, next http.Handler) http.Handler {
	plain := serving{}.wrap(c, next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		plain.ServeHTTP(answer, r)
		for name, values := range answer.Header() {
			for _, value := range values {
				if !strings.Contains(value, "Max-Age=0") {
					w.Header().Add(name, value)
				}
			}
		}
		w.WriteHeader(answer.Code)
		w.Write(answer.Body.Bytes())
	})
}

// answers gives one answer to all that is asked of an endpoint.
func answers(endpoint string, status int, body string) func(*core, http.Handler) http.Handler {
	return func(c *core, next http.Handler) http.Handler {
		return serving{before: func(w http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != agentPath+endpoint {
				return false
			}
			w.Header().Set("Access-Control-Allow-Origin", appOrigin)
			w.Header().Set("Access-Control-Allow-Credentials", "true")
			w.Header().Set("Vary", "Origin")
			w.WriteHeader(status)
			io.WriteString(w, body)
			return true
		}}.wrap(c, next)
	}
}

func logsLogin(c *core, next http.Handler) http.Handler {
	return serving{before: func(_ http.ResponseWriter, r *http.Request) bool {
		body, _ := io.ReadAll(r.Body)
		c.logger.Debug("request", "body", string(body))
		r.Body = io.NopCloser(bytes.NewReader(body))
		return false
	}}.wrap(c, next)
}

// keepsGrants tells the gateway that a grant is revoked, and tells nobody else.
type keepsGrants struct{}

func (keepsGrants) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/revoke") {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	return http.DefaultTransport.RoundTrip(r)
}
