package caddy

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/phantomgate/phantomgate/plugins/tokenhandler"
)

// agentDirective is the OAuth agent's name in JSON and in the Caddyfile.
const agentDirective = "oauth_agent"

// Agent answers what an app asks of its OAuth agent: login, session, refresh, logout. What is not for it goes to the
// next handler. The app's token_handler says all there is to say, so it has no settings.
type Agent struct {
	tokens *tokenhandler.Handler
}

// CaddyModule tells Caddy the handler's name.
func (*Agent) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers." + agentDirective, New: func() caddy.Module { return new(Agent) }}
}

// Provision takes the token handler of the app.
func (a *Agent) Provision(ctx caddy.Context) error {
	app, err := ctx.AppIfConfigured(appName)
	if err != nil {
		return fmt.Errorf("there is no %s app to say who the issuer is; add it: %w", appName, err)
	}
	a.tokens, err = app.(*App).tokenHandler(ctx)
	if err == nil && a.tokens == nil {
		err = errors.New(noTokenHandler)
	}
	return err
}

const noTokenHandler = agentDirective + " needs a browser app to serve; add to the global option " + appName +
	": token_handler <cookie prefix> { ... }"

// ServeHTTP answers what is the agent's to answer, and passes everything else on.
func (a *Agent) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	if a.tokens.ServeAgent(w, r) {
		return nil
	}
	return next.ServeHTTP(w, r)
}

// parseAgent reads the directive, which stands alone:
//
//	oauth_agent
func parseAgent(h httpcaddyfile.Helper) ([]httpcaddyfile.ConfigValue, error) {
	h.Next()
	if h.NextArg() || len(blockLines(h.Dispenser)) > 0 {
		return nil, h.Errf("%s takes neither matcher nor block: its path and the rest stand in the global option %s", agentDirective, appName)
	}
	option, ok := h.Option(appName).(httpcaddyfile.App)
	if !ok {
		return nil, h.Errf("%s needs to know the issuer; add to the global options at the top of the Caddyfile: %s { issuer <name> { ... } }", agentDirective, appName)
	}
	app, err := parsedApp(option)
	switch {
	case err != nil:
		return nil, err
	case len(app.CaddyfileFaults) > 0:
		return nil, fmt.Errorf("\n%w", joinLines(app.CaddyfileFaults))
	case app.TokenHandler == nil:
		return nil, h.Err(noTokenHandler)
	}
	return h.NewRoute(nil, new(Agent)), nil
}

var (
	_ caddy.Provisioner           = (*Agent)(nil)
	_ caddyhttp.MiddlewareHandler = (*Agent)(nil)
)
