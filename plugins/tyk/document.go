package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// document is what the binding reads of an API definition, classic or OAS.
type document struct {
	id, org    string
	listenPath string
	keyless    bool
	strips     bool // Authorization is removed after the token was looked at
	plugins    plugins
	bundle     bool // plugins come from a bundle, and the definition does not show which
	alone      bool // see classicJSON.alone; an OAS definition cannot tell, as it is a classic one that says what Tyk does

	corsEnabled, optionsPassthrough bool
	cached                          bool // answers are kept by Tyk
	recorded                        bool // requests are, with their tokens
	eitherAuth                      bool // several ways to authenticate, joined by "or"
	otherAuth                       bool // one of Tyk's own ways to authenticate, beside ours
	graphQL, mcp                    bool
	tagHeaders                      []string // headers that Tyk writes into its analytics
	events                          []string // which somebody is told of
	addressLists                    bool     // clients are let in, or kept out, by their addresses

	config     map[string]any
	hasConfig  bool
	operations map[string]map[string]operationID // by path template and method; only in an OAS
}

// plugins are those of ours that the definition lists.
type plugins struct{ pre, auth, post bool }

// operationID is what is read of an operation.
type operationID struct {
	ID string `json:"operationId"`
}

// read reads the definition that came with r, by way of its JSON, which is the same in every version.
func read(r *http.Request) (document, error) {
	classic, openAPI := copyOf(r)
	if classic != nil {
		return decoded(classic, (*classicJSON).document)
	}
	return decoded(openAPI, (*oasJSON).document)
}

func decoded[T any](definition any, to func(*T) document) (document, error) {
	data, err := json.Marshal(definition)
	if err != nil {
		return document{}, fmt.Errorf("the definition cannot be read: %w", err)
	}
	var read T
	if err := json.Unmarshal(data, &read); err != nil {
		return document{}, fmt.Errorf("the definition cannot be read: %w", err)
	}
	return to(&read), nil
}

// classicJSON has the members of a classic definition that matter here.
type classicJSON struct {
	APIID                   string `json:"api_id"`
	OrgID                   string `json:"org_id"`
	UseKeyless              bool   `json:"use_keyless"`
	StripAuthData           bool   `json:"strip_auth_data"`
	CustomPluginAuthEnabled bool   `json:"custom_plugin_auth_enabled"`
	UseGoPluginAuth         bool   `json:"use_go_plugin_auth"` // older names of the same
	EnableCoProcessAuth     bool   `json:"enable_coprocess_auth"`
	EnableDetailedRecording bool   `json:"enable_detailed_recording"`

	UseStandardAuth         bool    `json:"use_standard_auth"`
	UseBasicAuth            bool    `json:"use_basic_auth"`
	UseOAuth2               bool    `json:"use_oauth2"`
	UseOpenID               bool    `json:"use_openid"`
	EnableJWT               bool    `json:"enable_jwt"`
	EnableSignatureChecking bool    `json:"enable_signature_checking"`
	ExternalOAuth           enabled `json:"external_oauth"`

	GraphQL             enabled  `json:"graphql"`
	ApplicationProtocol string   `json:"application_protocol"` // "mcp", for one kind
	TagHeaders          []string `json:"tag_headers"`
	EnableIPWhitelist   bool     `json:"enable_ip_whitelisting"`
	EnableIPBlacklist   bool     `json:"enable_ip_blacklisting"`

	EventHandlers struct {
		Events map[string][]struct {
			Meta struct {
				Disabled bool `json:"disabled"`
			} `json:"handler_meta"`
		} `json:"events"`
	} `json:"event_handlers"`
	CustomMiddleware struct {
		Pre       []classicPlugin `json:"pre"`
		AuthCheck classicPlugin   `json:"auth_check"`
		PostAuth  []classicPlugin `json:"post_key_auth"`
		Post      []classicPlugin `json:"post"`
	} `json:"custom_middleware"`
	CORS struct {
		Enable             bool `json:"enable"`
		OptionsPassthrough bool `json:"options_passthrough"`
	} `json:"CORS"`
	CacheOptions struct {
		EnableCache bool `json:"enable_cache"`
	} `json:"cache_options"`
	Proxy struct {
		ListenPath string `json:"listen_path"`
		TargetURL  string `json:"target_url"`
		Targets    []any  `json:"target_list"`
	} `json:"proxy"`
	VersionData        any            `json:"version_data"`
	ConfigData         map[string]any `json:"config_data"`
	ConfigDataDisabled bool           `json:"config_data_disabled"`
}

type classicPlugin struct {
	Disabled bool   `json:"disabled"`
	Name     string `json:"name"`
}

func (p classicPlugin) is(name string) bool { return !p.Disabled && p.Name == name }

func (c *classicJSON) document() document {
	custom := c.CustomMiddleware
	enabled := c.CustomPluginAuthEnabled || c.UseGoPluginAuth || c.EnableCoProcessAuth
	var events []string
	for event, handlers := range c.EventHandlers.Events {
		for _, h := range handlers {
			if !h.Meta.Disabled {
				events = append(events, event)
			}
		}
	}
	return document{
		id: c.APIID, org: c.OrgID, listenPath: c.Proxy.ListenPath, keyless: c.UseKeyless, strips: c.StripAuthData,
		plugins: plugins{
			pre:  slices.ContainsFunc(custom.Pre, func(p classicPlugin) bool { return p.is(preSymbol) }),
			auth: enabled && custom.AuthCheck.is(authSymbol),
			post: slices.ContainsFunc(custom.Post, func(p classicPlugin) bool { return p.is(postSymbol) }),
		},
		// Tyk copies a bundle's lists into custom_middleware.
		alone:     c.alone(),
		otherAuth: c.UseStandardAuth || c.UseBasicAuth || c.UseOAuth2 || c.UseOpenID || c.EnableJWT || c.EnableSignatureChecking || c.ExternalOAuth.Enabled,
		graphQL:   c.GraphQL.Enabled, mcp: c.ApplicationProtocol == "mcp", tagHeaders: c.TagHeaders, events: events, addressLists: c.EnableIPWhitelist || c.EnableIPBlacklist,
		corsEnabled: c.CORS.Enable, optionsPassthrough: c.CORS.OptionsPassthrough,
		cached: c.CacheOptions.EnableCache, recorded: c.EnableDetailedRecording,
		config: c.ConfigData, hasConfig: !c.ConfigDataDisabled && len(c.ConfigData) > 0,
	}
}

// alone tells whether one plugin is the only one before the API, and nothing passes requests on to another API (tyk://).
func (c *classicJSON) alone() bool {
	custom, listed := c.CustomMiddleware, len(c.CustomMiddleware.Pre)
	if custom.AuthCheck.Name != "" {
		listed++
	}
	return listed+len(custom.PostAuth)+len(custom.Post) == 1 && !passesOn(c.VersionData) && !passesOn(c.Proxy.TargetURL) && !passesOn(c.Proxy.Targets)
}

// passesOn tells whether a part of a classic definition names another API, or has what may: where rewrites, virtual endpoints and
// other plugins lead is not always written there.
func passesOn(part any) bool {
	switch p := part.(type) {
	case string:
		return strings.Contains(strings.ToLower(p), "tyk:")
	case []any:
		return slices.ContainsFunc(p, passesOn)
	case map[string]any:
		for name, member := range p {
			list, _ := member.([]any)
			if slices.Contains(leadAnywhere, name) && len(list) > 0 || passesOn(member) {
				return true
			}
		}
	}
	return false
}

// leadAnywhere are lists of a version's that say where requests go.
var leadAnywhere = []string{"url_rewrites", "virtual", "go_plugin"}

// oasJSON has the members of an OAS definition that matter here.
type oasJSON struct {
	Security []map[string][]string                 `json:"security"`
	Paths    map[string]map[string]json.RawMessage `json:"paths"`
	Tyk      struct {
		Info struct {
			ID    string `json:"id"`
			OrgID string `json:"orgId"`
		} `json:"info"`
		Server struct {
			ListenPath struct {
				Value string `json:"value"`
			} `json:"listenPath"`
			Authentication struct {
				Enabled                bool `json:"enabled"`
				StripAuthorizationData bool `json:"stripAuthorizationData"`
				Custom                 struct {
					Enabled bool      `json:"enabled"`
					Config  oasPlugin `json:"config"`
				} `json:"custom"`
				HMAC                   enabled            `json:"hmac"`
				OIDC                   enabled            `json:"oidc"`
				SecuritySchemes        map[string]enabled `json:"securitySchemes"`
				SecurityProcessingMode string             `json:"securityProcessingMode"`
				Security               [][]string         `json:"security"`
			} `json:"authentication"`
			DetailedActivityLogs enabled `json:"detailedActivityLogs"`
			IPAccessControl      enabled `json:"ipAccessControl"`
			EventHandlers        []struct {
				Enabled bool   `json:"enabled"`
				Trigger string `json:"trigger"`
			} `json:"eventHandlers"`
		} `json:"server"`
		Middleware struct {
			Global struct {
				PluginConfig struct {
					Bundle enabled `json:"bundle"`
					Data   struct {
						Enabled bool           `json:"enabled"`
						Value   map[string]any `json:"value"`
					} `json:"data"`
				} `json:"pluginConfig"`
				CORS struct {
					Enabled            bool `json:"enabled"`
					OptionsPassthrough bool `json:"optionsPassthrough"`
				} `json:"cors"`
				PrePlugins  []oasPlugin `json:"prePlugins"`
				PostPlugins []oasPlugin `json:"postPlugins"`
				Cache       enabled     `json:"cache"`
				TrafficLogs struct {
					TagHeaders []string `json:"tagHeaders"`
				} `json:"trafficLogs"`
			} `json:"global"`
		} `json:"middleware"`
	} `json:"x-tyk-api-gateway"`
}

type enabled struct {
	Enabled bool `json:"enabled"`
}

type oasPlugin struct {
	Enabled      bool   `json:"enabled"`
	FunctionName string `json:"functionName"`
}

func (p oasPlugin) is(name string) bool { return p.Enabled && p.FunctionName == name }

func (o *oasJSON) document() document {
	server, global := o.Tyk.Server, o.Tyk.Middleware.Global
	auth := server.Authentication
	doc := document{
		id: o.Tyk.Info.ID, org: o.Tyk.Info.OrgID, listenPath: server.ListenPath.Value,
		keyless: !auth.Enabled, strips: auth.StripAuthorizationData,
		plugins: plugins{
			pre:  slices.ContainsFunc(global.PrePlugins, func(p oasPlugin) bool { return p.is(preSymbol) }),
			auth: auth.Custom.Enabled && auth.Custom.Config.is(authSymbol),
			post: slices.ContainsFunc(global.PostPlugins, func(p oasPlugin) bool { return p.is(postSymbol) }),
		},
		bundle:      global.PluginConfig.Bundle.Enabled,
		corsEnabled: global.CORS.Enabled, optionsPassthrough: global.CORS.OptionsPassthrough,
		cached: global.Cache.Enabled, recorded: server.DetailedActivityLogs.Enabled,
		otherAuth:  auth.HMAC.Enabled || auth.OIDC.Enabled,
		tagHeaders: global.TrafficLogs.TagHeaders, addressLists: server.IPAccessControl.Enabled,
		eitherAuth: auth.SecurityProcessingMode == "compliant" && len(o.Security)+len(auth.Security) > 1,
		config:     global.PluginConfig.Data.Value, hasConfig: global.PluginConfig.Data.Enabled,
		operations: map[string]map[string]operationID{},
	}
	for path, item := range o.Paths {
		doc.operations[path] = map[string]operationID{}
		for name, text := range item {
			method, op := strings.ToUpper(name), operationID{}
			if !slices.Contains(methods, method) || json.Unmarshal(text, &op) != nil {
				continue // what else a path item has
			}
			op.ID = cmp.Or(op.ID, nameless)
			doc.operations[path][method] = op
		}
	}
	for _, h := range server.EventHandlers {
		if h.Enabled {
			doc.events = append(doc.events, h.Trigger)
		}
	}
	for _, scheme := range auth.SecuritySchemes {
		doc.otherAuth = doc.otherAuth || scheme.Enabled
	}
	return doc
}

// methods are those for which a path item may have an operation.
var methods = []string{"GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE"}

// The symbols, as definitions name them.
const (
	preSymbol  = "PhantomgatePre"
	authSymbol = "PhantomgateAuth"
	postSymbol = "PhantomgatePost"
)

// judge reports what the definition asks of Tyk that cannot be protected, and which plugins it lacks. config may be empty:
// then it has faults of its own, and what follows from it is not judged.
func (d document) judge(config gateway.Config) error {
	var faults []error
	refuse := func(when bool, fault string) {
		if when {
			faults = append(faults, errors.New(fault))
		}
	}
	refuse(!d.hasConfig, "config_data (OAS: pluginConfig.data) is missing or disabled; it holds phantomgate's configuration")
	refuse(d.optionsPassthrough, "CORS.options_passthrough lets OPTIONS requests pass without any plugin; turn it off")
	refuse(d.eitherAuth, "several security requirements with securityProcessingMode \"compliant\" are joined by \"or\", which throws away what a plugin answers; leave one requirement")
	refuse(!d.keyless && d.otherAuth, "another way to authenticate (use_standard_auth, JWT, OAuth, basic, OpenID, HMAC) stands beside ours: it takes the place of our session, and one user's limits and cached answers become another's; turn it off")
	refuse(d.recorded || recordsRequests(), "detailed recording (enable_detailed_recording, detailedActivityLogs, enforce_org_data_detail_logging) writes every token into the analytics; turn it off, for this API and for the gateway (analytics_config)")
	refuse(d.graphQL, "a GraphQL API is recorded in detail, which writes every token into the analytics; Tyk has no switch for it")
	refuse(d.mcp, "an MCP proxy passes requests to itself without its plugins, so that the API would get no token; it is not supported")
	for _, name := range d.tagHeaders {
		refuse(carriesToken(name, config), fmt.Sprintf("tag_headers writes %s, a token, into the analytics; take it out", name))
	}
	for _, event := range d.events {
		refuse(!slices.Contains(bareEvents, event), "who is told of "+event+" (event_handlers, eventHandlers) gets the whole request with its token; these can be had: "+strings.Join(bareEvents, ", "))
	}
	refuse(d.addressLists && slices.Contains(d.events, "AuthFailure"), "a client that the lists of addresses (ipAccessControl, enable_ip_whitelisting, enable_ip_blacklisting) keep out is told of as an AuthFailure, with its token; turn one of the two off")
	refuse(d.keyless && d.cached && !allOpen(config.Routes), "the response cache of a keyless API gives one user's answer to the next; turn one of cache and use_keyless off")
	refuse(d.cached && anyScopes(config.Routes), "the response cache goes by user and client, and scopes.any lets tokens of one user differ: an answer for the one would be given to the other; turn the cache off, or write scopes.all")
	refuse(d.cached && config.Issuer.AcceptOtherScopes, "the response cache goes by user and client, and with acceptOtherScopes an API may answer by scopes that another token of theirs lacks; turn one of the two off")

	refuse(d.keyless && !d.plugins.pre && !d.bundle, preSymbol+" is not among the pre plugins of this keyless API; list it")
	refuse(!d.keyless && !d.plugins.auth && !d.bundle, authSymbol+" is not the enabled auth_check (OAS: authentication.custom) of this API; list it, or make the API keyless")
	refuse(!d.keyless && d.strips && !d.plugins.post && !d.bundle, "strip_auth_data removes the phantom token; list "+postSymbol+" among the post plugins, or turn it off")
	if config.TokenHandler != nil {
		refuse(!d.plugins.pre && !d.bundle, preSymbol+" is not among the pre plugins; list it: with a tokenHandler it is the OAuth agent")
		refuse(d.corsEnabled, "with a tokenHandler Tyk's own CORS must be off: it would answer preflights for origins that the tokenHandler does not trust")
	}
	return errors.Join(faults...)
}

// bareEvents are those that Tyk tells of without the request, and AuthFailure, whose credential is gone when a hook has refused it.
var bareEvents = []string{
	"AuthFailure", "BreakerReset", "BreakerTriggered", "BreakerTripped", "CertificateExpired", "CertificateExpiringSoon", "HostDown", "HostUp",
	"TokenCreated", "TokenDeleted", "TokenUpdated", "TriggerExceeded",
}

// carriesToken tells whether a header has a token in it, in either direction.
func carriesToken(name string, config gateway.Config) bool {
	name = http.CanonicalHeaderKey(name)
	return slices.Contains([]string{"Authorization", "Cookie", "Set-Cookie", csrfHeader(config)}, name)
}

// csrfHeader is the header of config's token handler; empty without one.
func csrfHeader(config gateway.Config) string {
	if config.TokenHandler == nil {
		return ""
	}
	return http.CanonicalHeaderKey("x-" + config.TokenHandler.CookiePrefix + "-csrf")
}

func anyScopes(routes []gateway.Route) bool {
	return slices.ContainsFunc(routes, func(r gateway.Route) bool { return len(r.Scopes.Any) > 0 })
}

func allOpen(routes []gateway.Route) bool {
	return !slices.ContainsFunc(routes, func(r gateway.Route) bool { return !r.Open })
}
