package caddy

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/phantomgate/phantomgate/plugins/gateway"
	"github.com/phantomgate/phantomgate/plugins/tokenhandler"
)

// directive is the handler's name in JSON and in the Caddyfile.
const directive = "phantom_token"

// Handler lets a request pass to the next handler when its route allows, with the phantom token in place of the
// reference, and answers all others itself.
type Handler struct {
	// Routes is gateway.Config's routes, kept as written for the core's strict parser.
	Routes json.RawMessage `json:"routes,omitempty"`

	gateway *gateway.Gateway
	tokens  *tokenhandler.Handler // the app's; nil when it has none
}

// CaddyModule tells Caddy the handler's name.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers." + directive, New: func() caddy.Module { return new(Handler) }}
}

// Provision makes the gateway. It asks nobody: an issuer that is down does not keep Caddy from starting.
func (h *Handler) Provision(ctx caddy.Context) error {
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	config, err := app.config(h.Routes)
	if logged := logsCredentials(ctx); err != nil || logged != nil {
		return errors.Join(logged, app.everyFault(ctx, err))
	}
	tokens, tokensErr := app.tokenHandler(ctx)
	heard, feedErr := app.feed(ctx, config)
	g, err := gateway.New(config, gateway.Options{Logger: ctx.Slogger(), TokenHandler: tokens, Feed: heard})
	if err != nil {
		return app.inCaddyfile(err) // with the faults of the token handler and the feed among all others
	}
	h.gateway, h.tokens = g, tokens
	return errors.Join(tokensErr, feedErr)
}

func logsCredentials(ctx caddy.Context) error {
	server, ok := ctx.Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if ok && server.Logs != nil && server.Logs.ShouldLogCredentials {
		return errors.New("log_credentials would write every reference and phantom token to the access log; remove it from this server")
	}
	return nil
}

// Cleanup ends what the gateway holds. Caddy calls it when a new config has taken over, and after a failed Provision.
func (h *Handler) Cleanup() error {
	if h.gateway == nil {
		return nil
	}
	return h.gateway.Close()
}

// ServeHTTP answers a refusal, or passes the request on, fit for the API. Which it was is in {http.vars.phantom_token},
// for logs: "refused", "hit" (the phantom token came from the cache) or "miss" (from the issuer); nothing on open routes.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if h.tokens != nil && h.tokens.ServePreflight(w, r) {
		return nil
	}
	outcome := h.gateway.Authorize(r)
	if refusal := outcome.Refusal(); refusal != nil {
		caddyhttp.SetVar(r.Context(), directive, "refused")
		refusal.Write(w)
		return nil
	}
	outcome.Apply(r)
	switch {
	case outcome.Cached:
		caddyhttp.SetVar(r.Context(), directive, "hit")
	case r.Header["Authorization"] != nil: // no open route
		caddyhttp.SetVar(r.Context(), directive, "miss")
	}
	return next.ServeHTTP(outcome.Writer(w), r)
}

var (
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.CleanerUpper          = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
