package main

import (
	"log/slog"
	"net/http"
	"runtime/debug"

	"github.com/phantomgate/phantomgate/plugins/gateway"
	"github.com/phantomgate/phantomgate/plugins/policy"
)

// hooks is what the symbols call.
type hooks struct {
	logger      *slog.Logger
	definitions *definitions
}

func newHooks(logger *slog.Logger) *hooks {
	return &hooks{logger: logger, definitions: newDefinitions(logger)}
}

// hook does the work of a symbol. It returns what is known of the request afterwards; ok is false when it has answered it.
type hook func(w http.ResponseWriter, r *http.Request, a *api) (p passed, ok bool)

// guard runs one hook. What panics refuses: Tyk would drop the connection, and up to 5.8.15 answer an empty 200.
//
// A request whose token is ready to be served again costs pre 1 allocation (of the core's Authorize), and auth 5; 3 more each
// where a later hook or API is to know of it.
func (h *hooks) guard(w http.ResponseWriter, r *http.Request, hook hook) {
	answered, csrf := true, ""
	defer func() {
		if p := recover(); p != nil {
			h.logger.Error("panic in a hook", "panic", p, "stack", string(debug.Stack()))
			policy.ServerError().Write(w)
		}
		if answered {
			endCredential(r.Header, csrf)
		}
	}()
	a := h.definitions.of(r)
	if a.faults != nil {
		refusedConfig().Write(w)
		return
	}
	csrf = a.csrf
	p, ok := hook(w, r, a)
	switch {
	case !ok:
		endHook(r, nil)
	case a.remembers:
		kept := p
		endHook(r, &kept)
	}
	answered = !ok
}

// refusedConfig answers for an API whose definition was refused. The faults are in the log and not for clients.
func refusedConfig() *policy.Refusal {
	refusal := *policy.ServerError()
	refusal.Code, refusal.Description = "configuration_refused", "this API's definition was refused; the gateway's log says why"
	return &refusal
}

// pre comes before Tyk's own authentication. It decides about every request, whether or not Tyk will authenticate: with an OAS
// API that is two files, the classic one governs that, and it is not seen here.
func (h *hooks) pre(w http.ResponseWriter, r *http.Request, a *api) (p passed, ok bool) {
	passedOf(r).restoreCredential(r)
	if a.gateway.ServeAgent(w, r) {
		return passed{}, false
	}
	p, ok = h.swap(w, r, a)
	p.fresh = ok
	return p, ok
}

// auth stands in for Tyk's own authentication.
func (h *hooks) auth(w http.ResponseWriter, r *http.Request, a *api) (p passed, ok bool) {
	if known := passedOf(r); known.holds(r, a) {
		p = *known
		p.fresh = false // an API that passes the request to itself asks anew
	} else {
		known.restoreCredential(r)
		if p, ok = h.swap(w, r, a); !ok {
			return passed{}, false
		}
	}
	session, keyHash, err := a.sessions.of(p.phantomToken)
	if err != nil {
		h.logger.Error("no session for Tyk can be made of a phantom token", "api", a.id, "error", err)
		policy.IssuerError().Write(w)
		return passed{}, false
	}
	setSession(r, session, keyHash)
	return p, true
}

// swap decides about r. Either it answers, and ok is false, or r is fit for the API afterwards.
func (h *hooks) swap(w http.ResponseWriter, r *http.Request, a *api) (p passed, ok bool) {
	outcome := a.authorize(r)
	if refusal := outcome.Refusal(); refusal != nil {
		refusal.Write(w)
		return passed{}, false
	}
	if a.remembers {
		p = passed{api: a, method: r.Method, path: r.URL.Path, credential: credentialOf(r.Header, a.csrf)}
	}
	outcome.Apply(r)
	toOriginForm(r)
	p.phantomToken = r.Header["Authorization"]
	// Tyk copies the API's answer into w's header, where what stands already counts (CORS) or stays (Set-Cookie).
	outcome.Writer(w)
	if w.Header()["Set-Cookie"] != nil {
		w.Header().Set("Cache-Control", "no-store") // it stays beside the API's own, and is the stricter of the two
	}
	return p, true
}

// toOriginForm takes scheme and host out of an address in absolute form (RFC 9112 section 3.2.2). Tyk's rewrites go by the whole
// address: with its host in it the client could choose whether one applies, and where it leads. r.Host stays.
func toOriginForm(r *http.Request) {
	if r.URL.Scheme == "" && r.URL.Host == "" && r.URL.User == nil {
		return
	}
	u := *r.URL // which others may have
	u.Scheme, u.Host, u.User = "", "", nil
	r.URL = &u
}

// post comes after all that Tyk does to a request.
func (h *hooks) post(w http.ResponseWriter, r *http.Request, a *api) (p passed, ok bool) {
	known := passedOf(r)
	if known == nil || known.api != a {
		h.logger.Error("a request came to the post plugin that neither pre nor auth_check has let through; list them", "api", a.id)
		refusedConfig().Write(w)
		return passed{}, false
	}
	if a.strips && known.phantomToken != nil {
		r.Header["Authorization"] = known.phantomToken
	}
	return *known, true
}

// passed is what is remembered of a request that was let through.
type passed struct {
	api          *api
	method, path string // as it was judged
	fresh        bool   // by pre, and auth has not come yet
	credential   credential
	phantomToken []string // the header's value; nil on an open route
}

// holds tells whether p is pre's word about this very request.
func (p *passed) holds(r *http.Request, a *api) bool {
	return p != nil && p.fresh && p.api == a && p.method == r.Method && p.path == r.URL.Path
}

type passedKey struct{}

// credential is what the client sent: the headers that swap replaces or removes.
type credential struct {
	authorization, cookie []string
	csrfName              string // empty without a token handler
	csrf                  []string
}

func credentialOf(h http.Header, csrf string) credential {
	return credential{authorization: h["Authorization"], cookie: h["Cookie"], csrfName: csrf, csrf: h[csrf]}
}

// endCredential takes the credential, or what it was swapped for, out of a request that has been answered. It may still be good, and
// Tyk gives the whole request to whoever hears of a refusal (AuthFailure).
func endCredential(h http.Header, csrf string) {
	for _, name := range []string{"Authorization", "Cookie", csrf} {
		delete(h, name)
	}
}

// restoreCredential gives a request back what its client sent, when it was let through before: another API has passed it on (a
// tyk:// loop). A phantom token is for one audience, and the next API needs its own.
func (p *passed) restoreCredential(r *http.Request) {
	if p == nil {
		return
	}
	restore(r.Header, "Authorization", p.credential.authorization)
	restore(r.Header, "Cookie", p.credential.cookie)
	if p.credential.csrfName != "" {
		restore(r.Header, p.credential.csrfName, p.credential.csrf)
	}
}

func restore(h http.Header, name string, values []string) {
	if values == nil {
		delete(h, name)
		return
	}
	h[name] = values
}

// api is an API definition, compiled.
type api struct {
	id      string
	faults  error // when not nil, all else is empty
	gateway *gateway.Gateway
	// operations matches requests to operations of an OpenAPI definition; nil when no route names one.
	operations *operations
	sessions   *sessions
	strips     bool   // Tyk's strip_auth_data
	csrf       string // the token handler's header; empty without one
	remembers  bool   // another hook may come to the same request, here or at the next API

	release func() // gives back what is shared
}

// authorize decides about r: by the operation it is, if a route names that one, else by its path.
func (a *api) authorize(r *http.Request) gateway.Outcome {
	if a.operations == nil {
		return a.gateway.Authorize(r)
	}
	switch id, found := a.operations.match(r); {
	case !found: // below another listen path: by its path, a stricter operation could be passed by
		return a.gateway.AuthorizeOperation(r, "")
	case id != "":
		return a.gateway.AuthorizeOperation(r, id)
	}
	return a.gateway.Authorize(r)
}
