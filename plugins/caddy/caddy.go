// Package caddy puts phantomgate before APIs that Caddy serves: it swaps the opaque reference a client sends for the
// phantom token its route allows, and refuses whatever no rule lets through.
//
// Two modules share one configuration, which is gateway.Config split in two. The app (phantomgate) says whose
// references these are and how much to remember; the handler (http.handlers.phantom_token) says what each route asks
// for. In a Caddyfile:
//
//	{
//		phantomgate {
//			issuer https://login.example.com {
//				client       gateway
//				secret_file  /run/secrets/gateway    # or: secret_env NAME
//			}
//		}
//	}
//
//	api.example.com {
//		phantom_token {
//			open GET /health
//
//			audience eventcatalog {
//				GET  /api/eventcatalog/events    eventcatalog.read
//				POST /api/eventcatalog/events    eventcatalog.write
//			}
//		}
//		reverse_proxy localhost:9001
//	}
//
// # Browsers
//
// A browser app gets cookies in place of tokens from its OAuth agent, which answers below /oauth-agent:
//
//	{
//		phantomgate {
//			issuer https://login.example.com { ... }
//			token_handler shop {                     # its cookies are __Host-shop-…
//				origin                    https://www.example.com
//				cookie_key                2026-11 file /run/secrets/cookie-key
//				client                    spa
//				secret_file               /run/secrets/spa
//				redirect_uri              https://www.example.com/
//				post_logout_redirect_uri  https://www.example.com/
//				scopes                    openid eventcatalog.read
//				allow_bearer              # beside cookies, for apps that are no browsers
//			}
//		}
//	}
//
//	www.example.com {
//		oauth_agent
//		phantom_token { ... }
//		reverse_proxy localhost:9001
//	}
//
// Then phantom_token takes the cookies everywhere, and forwards none but those that a rule lists (cookies <name>...).
// A reload forgets which sessions the issuer has ended by back channel: its own revocation still ends them.
//
// # Rules
//
// A rule is a line: methods (none: all that no other rule of the path names), a path, and the scopes it needs. What
// more it asks for stands in a block of its own:
//
//	DELETE /api/eventcatalog/events/* {
//		any_scope  eventcatalog.write eventcatalog.admin
//		acr        urn:example:strong
//		max_age    5m
//	}
//
// # Which path is judged
//
// The path as it is when the request comes to phantom_token. In a Caddyfile that is after `rewrite`, `uri`,
// `try_files` and the prefix that an enclosing `handle_path` strips, and before `handle`, `handle_path`, `route` and
// `reverse_proxy`: write the rules for that path. What rewrites later (`handle_path` beside phantom_token, `rewrite`
// inside `reverse_proxy`) changes a path that has been judged.
//
// It also comes before basic_auth, forward_auth and request_header, so that identity headers which Caddy itself adds
// stay, while those from outside are gone.
//
// # What it does not do
//
// It does not replace placeholders: nothing that decides about access may depend on a request's content. {$NAME} works
// everywhere, since Caddy replaces it when it reads the file. A reload begins with an empty cache, and each
// phantom_token has its own.
package caddy

import (
	"encoding/json"
	"errors"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"

	"github.com/phantomgate/phantomgate/plugins/feed"
	"github.com/phantomgate/phantomgate/plugins/gateway"
	"github.com/phantomgate/phantomgate/plugins/tokenhandler"
)

// appName is the app's module ID, its key under "apps" and its name in the Caddyfile.
const appName = "phantomgate"

// init registers the modules: Caddy knows no other way.
func init() {
	caddy.RegisterModule(new(App))
	caddy.RegisterModule(new(Handler))
	httpcaddyfile.RegisterGlobalOption(appName, parseApp)
	caddy.RegisterModule(new(Agent))
	httpcaddyfile.RegisterDirective(directive, parseDirective)
	httpcaddyfile.RegisterDirective(agentDirective, parseAgent)
	// After all that may change the path, before all that may add identity headers or answer.
	httpcaddyfile.RegisterDirectiveOrder(directive, httpcaddyfile.After, "try_files")
	// This puts it between the two: a login needs no token.
	httpcaddyfile.RegisterDirectiveOrder(agentDirective, httpcaddyfile.After, "try_files")
}

// App is the part of gateway.Config that all handlers share. Its members are kept as they were written, so that the
// core's strict parser reads them and reports all faults of app and handler at once.
type App struct {
	Issuer          json.RawMessage `json:"issuer,omitempty"`
	Cache           json.RawMessage `json:"cache,omitempty"`
	IdentityHeaders json.RawMessage `json:"identityHeaders,omitempty"`
	TokenHandler    json.RawMessage `json:"tokenHandler,omitempty"`

	// CaddyfileFaults is how the global option hands its faults to the directives, which report them with their own.
	// An app that has any is refused. It is not for people to write.
	CaddyfileFaults []string `json:"caddyfileFaults,omitempty"`
	// CaddyfilePlaces is where the Caddyfile names each secret, by the field that it became ("Caddyfile:6: secret_file").
	// Whether there is such a secret only loading can see, which may be on another machine; its faults are told with
	// these places. It is not for people to write.
	CaddyfilePlaces map[string]string `json:"caddyfilePlaces,omitempty"`

	mu     sync.Mutex
	tokens *tokenhandler.Handler // made when the first handler needs it
	heard  *feed.Feed            // the same; one for all handlers, so that a replica has one stream
}

// CaddyModule tells Caddy the app's name.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: appName, New: func() caddy.Module { return new(App) }}
}

// Provision checks the app, with or without a handler that refers to it.
func (a *App) Provision(ctx caddy.Context) error {
	if _, err := a.config(json.RawMessage(someRoute)); err != nil {
		return a.everyFault(ctx, err)
	}
	return nil
}

// Start begins to hear the revocation feed: not before, since a config that is only looked at (caddy validate) must not make
// a stream at the issuer. Until it is heard, nothing is served from a cache: the issuer is asked about every request.
func (a *App) Start() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.heard != nil {
		a.heard.Start()
	}
	return nil
}

// Stop ends the feed, and its stream at the issuer. Requests that still come have the issuer asked.
func (a *App) Stop() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.heard == nil {
		return nil
	}
	return a.heard.Close()
}

// Cleanup ends the token handler, and the feed of an app that was never started. Caddy calls it when a new config has taken
// over, and when this one was refused.
func (a *App) Cleanup() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	if a.heard != nil {
		errs = append(errs, a.heard.Close())
	}
	if a.tokens != nil {
		errs = append(errs, a.tokens.Close())
	}
	return errors.Join(errs...)
}

// someRoute completes a config of which no route is looked at.
const someRoute = `[{"path": "/", "open": true}]`

// tokenHandler returns the one token handler of all that serve the browser app, so that a logout at the agent is known
// to the APIs; nil when the app has none.
func (a *App) tokenHandler(ctx caddy.Context) (*tokenhandler.Handler, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.TokenHandler == nil || a.tokens != nil {
		return a.tokens, nil
	}
	config, err := a.config(json.RawMessage(someRoute))
	if err != nil {
		return nil, err
	}
	a.tokens, err = gateway.NewTokenHandler(config, gateway.Options{Logger: ctx.Slogger()})
	return a.tokens, err
}

// feed returns what hears the issuer's revocation feed for all handlers, once the app starts; nil when there is none to hear.
func (a *App) feed(ctx caddy.Context, config gateway.Config) (*feed.Feed, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !config.HasFeed() || a.heard != nil {
		return a.heard, nil
	}
	heard, err := gateway.NewFeed(config, gateway.Options{Logger: ctx.Slogger()})
	if err != nil {
		return nil, err
	}
	a.heard = heard
	return heard, nil
}

// config reads the app together with a handler's routes.
func (a *App) config(routes json.RawMessage) (gateway.Config, error) {
	if len(a.CaddyfileFaults) > 0 {
		return gateway.Config{}, joinLines(a.CaddyfileFaults)
	}
	document, err := json.Marshal(struct {
		Issuer          json.RawMessage `json:"issuer,omitempty"`
		Cache           json.RawMessage `json:"cache,omitempty"`
		IdentityHeaders json.RawMessage `json:"identityHeaders,omitempty"`
		TokenHandler    json.RawMessage `json:"tokenHandler,omitempty"`
		Routes          json.RawMessage `json:"routes,omitempty"`
	}{a.Issuer, a.Cache, a.IdentityHeaders, a.TokenHandler, routes})
	if err != nil {
		return gateway.Config{}, err
	}
	return gateway.Parse(document)
}

var (
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
)
