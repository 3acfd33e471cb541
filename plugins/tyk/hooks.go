package main

import (
	"context"
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

// guard runs one hook. What panics refuses: Tyk would drop the connection, and up to 5.8.15 answer an empty 200.
func (h *hooks) guard(w http.ResponseWriter, r *http.Request, hook func(http.ResponseWriter, *http.Request, *api)) {
	defer func() {
		if p := recover(); p != nil {
			h.logger.Error("panic in a hook", "panic", p, "stack", string(debug.Stack()))
			policy.ServerError().Write(w)
		}
	}()
	a := h.definitions.of(r)
	if a.faults != nil {
		refusedConfig().Write(w)
		return
	}
	hook(w, r, a)
}

// refusedConfig answers for an API whose definition was refused. The faults are in the log and not for clients.
func refusedConfig() *policy.Refusal {
	refusal := *policy.ServerError()
	refusal.Code, refusal.Description = "configuration_refused", "this API's definition was refused; the gateway's log says why"
	return &refusal
}

// pre comes before Tyk's own authentication.
func (h *hooks) pre(w http.ResponseWriter, r *http.Request, a *api) {
	restoreCredential(r)
	if a.gateway.ServeAgent(w, r) {
		return
	}
	if a.keyless {
		h.swap(w, r, a)
	}
}

// auth stands in for Tyk's own authentication.
func (h *hooks) auth(w http.ResponseWriter, r *http.Request, a *api) {
	restoreCredential(r)
	if !h.swap(w, r, a) {
		return
	}
	session, err := a.sessions.of(r.Header["Authorization"])
	if err != nil {
		h.logger.Error("no session for Tyk can be made of a phantom token", "api", a.id, "error", err)
		policy.IssuerError().Write(w)
		return
	}
	setSession(r, session)
}

// swap decides about r. Either it answers, or r is fit for the API afterwards.
func (h *hooks) swap(w http.ResponseWriter, r *http.Request, a *api) (passes bool) {
	outcome := a.authorize(r)
	if refusal := outcome.Refusal(); refusal != nil {
		refusal.Write(w)
		return false
	}
	passed := &passed{credential: credentialOf(r.Header)}
	outcome.Apply(r)
	passed.phantomToken = r.Header["Authorization"]
	*r = *r.WithContext(context.WithValue(r.Context(), passedKey{}, passed))
	// Tyk copies the API's answer into w's header, where what stands already counts (CORS) or stays (Set-Cookie).
	outcome.Writer(w)
	if w.Header()["Set-Cookie"] != nil {
		w.Header().Set("Cache-Control", "no-store") // it stays beside the API's own, and is the stricter of the two
	}
	return true
}

// post comes after all that Tyk does to a request.
func (h *hooks) post(_ http.ResponseWriter, r *http.Request, a *api) {
	p, _ := r.Context().Value(passedKey{}).(*passed)
	if p == nil || p.phantomToken == nil || !a.strips {
		return
	}
	r.Header["Authorization"] = p.phantomToken
}

// passed is what is remembered of a request that was let through.
type passed struct {
	credential   credential
	phantomToken []string // the header's value; nil on an open route
}

type passedKey struct{}

// credential is what the client sent: the headers that swap replaces.
type credential struct{ authorization, cookie []string }

func credentialOf(h http.Header) credential {
	return credential{authorization: h["Authorization"], cookie: h["Cookie"]}
}

// restoreCredential gives a request back what its client sent, when another API has passed it on (a tyk:// loop): a phantom
// token is for one audience, and the next API needs its own.
func restoreCredential(r *http.Request) {
	p, _ := r.Context().Value(passedKey{}).(*passed)
	if p == nil {
		return
	}
	restore(r.Header, "Authorization", p.credential.authorization)
	restore(r.Header, "Cookie", p.credential.cookie)
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
	keyless    bool // Tyk's use_keyless: there is no auth_check
	strips     bool // Tyk's strip_auth_data

	release func() // gives back what is shared
}

// authorize decides about r: by the operation it is, if a route names that one, else by its path.
func (a *api) authorize(r *http.Request) gateway.Outcome {
	if a.operations != nil {
		if id := a.operations.match(r); id != "" {
			return a.gateway.AuthorizeOperation(r, id)
		}
	}
	return a.gateway.Authorize(r)
}
