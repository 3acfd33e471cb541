package caddy

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
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
	app, err := appOf(ctx)
	if err != nil {
		return err
	}
	if _, err := app.config(json.RawMessage(someRoute)); err != nil {
		return app.everyFault(ctx, err)
	}
	if app.TokenHandler == nil {
		return app.everyFault(ctx, errors.New(noTokenHandler))
	}
	a.tokens, err = app.tokenHandler(ctx)
	return app.inCaddyfile(err)
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
	var r report
	app := readOption(h.Option(appName))
	r.agent(h.Dispenser, app)
	if err := r.refuse(h, app); err != nil {
		return nil, err
	}
	return h.NewRoute(nil, new(Agent)), nil
}

// agent reads oauth_agent, on which d is about to stand.
func (r *report) agent(d *caddyfile.Dispenser, app appOption) {
	d.Next()
	r.at("", "", d)
	if d.NextArg() || len(blockLines(d)) > 0 {
		r.fault(d, "%s takes neither matcher nor block: its path and the rest stand in the global option %s", agentDirective, appName)
		return
	}
	if r.needsApp(d, agentDirective, app); app.given && len(app.faults) == 0 && app.tokens == nil {
		r.fault(d, "%s", noTokenHandler)
	}
}

var (
	_ caddy.Provisioner           = (*Agent)(nil)
	_ caddyhttp.MiddlewareHandler = (*Agent)(nil)
)
