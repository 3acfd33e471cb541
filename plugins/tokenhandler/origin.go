package tokenhandler

import (
	"net/http"
	"slices"
	"strings"
)

// cors knows the app's origins and what its pages may send and read across origins.
type cors struct {
	origins                  []string
	methods, headers, expose string
}

// The headers that an app can always send and read: the CSRF header comes on top.
var (
	usualHeaders = []string{"accept", "accept-language", "content-type"}
	usualExposed = []string{"WWW-Authenticate", "Retry-After"}
)

const preflightMaxAge = "600" // seconds that a browser may remember a preflight's answer

func newCORS(cfg Config, csrfHeader string) cors {
	return cors{
		origins: slices.Clone(cfg.Origins),
		methods: "GET, HEAD, POST, PUT, PATCH, DELETE",
		headers: strings.Join(slices.Concat(usualHeaders, []string{csrfHeader}, cfg.AllowHeaders), ", "),
		expose:  strings.Join(slices.Concat(usualExposed, cfg.ExposeHeaders), ", "),
	}
}

// trusted returns the request's origin when it is one of the app's, else "". named tells whether it names any.
func (c *cors) trusted(h http.Header) (origin string, named bool) {
	values := h["Origin"]
	if len(values) == 1 && slices.Contains(c.origins, values[0]) {
		return values[0], true
	}
	return "", len(values) > 0
}

// admits tells whether a request that is authorized by a cookie may have been caused by the app and nobody else. A
// cookie with SameSite=Strict does not come from a foreign site, but a neighbour on the same site is none.
//
// A request that changes something, or upgrades the connection (a WebSocket is not held by CORS), must name an origin
// of the app, and so must one that must. Any other may leave it out, as browsers do for the app's own origin, but must not
// name a foreign one. Where the browser says more (Sec-Fetch-Site), that must fit. p is what cors.response says of r.
func (p Response) admits(r *http.Request, must bool) bool {
	if p.origin == "" && (must || p.foreign || changes(r) || len(r.Header["Upgrade"]) > 0) {
		return false
	}
	site := r.Header["Sec-Fetch-Site"]
	if len(site) == 0 {
		return true
	}
	switch site[0] {
	case "same-origin", "none":
		return len(site) == 1
	case "same-site":
		return len(site) == 1 && p.origin != ""
	}
	return false
}

// changes tells whether a request changes something, as far as its method says (RFC 9110 section 9.2.1).
func changes(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// isPreflight tells whether a browser asks for leave to send a request (Fetch section 4.8).
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && len(r.Header["Origin"]) > 0 && len(r.Header["Access-Control-Request-Method"]) > 0
}

// preflight answers a preflight. A foreign origin gets a refusal, which its browser takes as a no.
func (c *cors) preflight(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	response := c.response(r)
	response.applyCORS(h)
	if response.origin == "" {
		unauthorizedRequest().write(w)
		return
	}
	h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", c.methods)
	h.Set("Access-Control-Allow-Headers", c.headers)
	h.Set("Access-Control-Max-Age", preflightMaxAge)
	w.WriteHeader(http.StatusNoContent)
}

// response is what every answer to r carries.
func (c *cors) response(r *http.Request) Response {
	origin, named := c.trusted(r.Header)
	return Response{origin: origin, foreign: named && origin == "", expose: c.expose}
}
