package main

import (
	"maps"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/TykTechnologies/tyk/config"

	"github.com/phantomgate/phantomgate/plugins/plugintest"
)

// at returns the object in o that stands at a path of keys, made where there is none.
func at(o map[string]any, path ...string) map[string]any {
	for _, key := range path {
		next, ok := o[key].(map[string]any)
		if !ok {
			next = map[string]any{}
			o[key] = next
		}
		o = next
	}
	return o
}

// oasServer and oasGlobal are where Tyk's extension says most.
func oasServer(d map[string]any) map[string]any { return at(d, "x-tyk-api-gateway", "server") }
func oasGlobal(d map[string]any) map[string]any {
	return at(d, "x-tyk-api-gateway", "middleware", "global")
}

// TestRefused: what a definition asks of Tyk that cannot be protected, and what it lacks. The definitions that all these are
// changed from pass TestSuite.
func TestRefused(t *testing.T) {
	keyless := func(d map[string]any) { d["use_keyless"] = true }
	type changes []func(d map[string]any)
	for name, test := range map[string]struct {
		classic, oas changes
		says         string
	}{
		"no configuration": {
			changes{func(d map[string]any) { delete(d, "config_data") }},
			changes{func(d map[string]any) { delete(at(oasGlobal(d), "pluginConfig"), "data") }},
			"config_data",
		},
		"configuration disabled": {
			changes{func(d map[string]any) { d["config_data_disabled"] = true }},
			changes{func(d map[string]any) { at(oasGlobal(d), "pluginConfig", "data")["enabled"] = false }},
			"config_data",
		},
		"options_passthrough": {
			changes{func(d map[string]any) { at(d, "CORS")["options_passthrough"] = true }},
			changes{func(d map[string]any) { at(oasGlobal(d), "cors")["optionsPassthrough"] = true }},
			"options_passthrough",
		},
		"either of two ways to authenticate": {
			nil,
			changes{func(d map[string]any) {
				at(oasServer(d), "authentication")["securityProcessingMode"] = "compliant"
				at(oasServer(d), "authentication")["security"] = [][]string{{"custom"}, {"apiKey"}}
			}},
			"securityProcessingMode",
		},
		"either, by OpenAPI's own member": {
			nil,
			changes{func(d map[string]any) {
				at(oasServer(d), "authentication")["securityProcessingMode"] = "compliant"
				d["security"] = []any{map[string]any{"custom": []string{}}, map[string]any{"apiKey": []string{}}}
			}},
			"securityProcessingMode",
		},
		"detailed recording": {
			changes{func(d map[string]any) { d["enable_detailed_recording"] = true }},
			changes{func(d map[string]any) { at(oasServer(d), "detailedActivityLogs")["enabled"] = true }},
			"detailed recording",
		},
		"the cache of a keyless API": {
			changes{keyless, func(d map[string]any) { at(d, "cache_options")["enable_cache"] = true }},
			changes{func(d map[string]any) {
				at(oasServer(d), "authentication")["enabled"] = false
				at(oasGlobal(d), "cache")["enabled"] = true
			}},
			"gives one user's answer to the next",
		},
		"a key of Tyk's own beside ours": {
			changes{func(d map[string]any) { d["use_standard_auth"] = true }},
			changes{func(d map[string]any) {
				at(oasServer(d), "authentication", "securitySchemes", "key")["enabled"] = true
			}},
			"another way to authenticate",
		},
		"JWT beside ours": {changes{func(d map[string]any) { d["enable_jwt"] = true }}, nil, "another way to authenticate"},
		"GraphQL":         {changes{func(d map[string]any) { at(d, "graphql")["enabled"] = true }}, nil, "GraphQL"},
		"MCP":             {changes{func(d map[string]any) { d["application_protocol"] = "mcp" }}, nil, "MCP"},
		"tokens as tags": {
			changes{func(d map[string]any) { d["tag_headers"] = []string{"X-Region", "authorization"} }},
			changes{func(d map[string]any) { at(oasGlobal(d), "trafficLogs")["tagHeaders"] = []string{"cookie"} }},
			"tag_headers",
		},
		"the CSRF header as a tag": {changes{withTokenHandler, func(d map[string]any) { d["tag_headers"] = []string{"x-shop-csrf"} }}, nil, "tag_headers"},
		"an event that comes with the request": {
			changes{events("AuthFailure", "QuotaExceeded")},
			changes{func(d map[string]any) {
				oasServer(d)["eventHandlers"] = []any{map[string]any{"enabled": true, "trigger": "QuotaExceeded", "type": "webhook"}}
			}},
			"QuotaExceeded",
		},
		"AuthFailure beside a list of addresses": {
			changes{events("AuthFailure"), func(d map[string]any) { d["enable_ip_whitelisting"] = true }},
			changes{func(d map[string]any) {
				at(oasServer(d), "ipAccessControl")["enabled"] = true
				oasServer(d)["eventHandlers"] = []any{map[string]any{"enabled": true, "trigger": "AuthFailure", "type": "webhook"}}
			}},
			"lists of addresses",
		},
		"AuthFailure beside a list of those kept out": {
			changes{events("AuthFailure"), func(d map[string]any) { d["enable_ip_blacklisting"] = true }}, nil, "lists of addresses",
		},
		"an event nobody knows": {changes{events("Something")}, nil, "Something"},
		"the cache with other scopes": {
			changes{
				func(d map[string]any) { at(d, "cache_options")["enable_cache"] = true }, noneOfSeveral,
				func(d map[string]any) {
					delete(at(d, "config_data", "issuer"), "noFeed")
					maps.Copy(at(d, "config_data", "issuer"), map[string]any{
						"answer": "jwt", "introspectionEndpoint": "http://127.0.0.1:1/introspect", "jwksUri": "http://127.0.0.1:1/jwks", "acceptOtherScopes": true,
					})
				},
			},
			nil, "acceptOtherScopes",
		},
		"the cache before any of several scopes": {
			changes{func(d map[string]any) { at(d, "cache_options")["enable_cache"] = true }},
			changes{func(d map[string]any) { at(oasGlobal(d), "cache")["enabled"] = true }},
			"scopes.any",
		},
		"a bundle without our plugins": {
			changes{func(d map[string]any) {
				d["custom_middleware_bundle"] = "other.zip"
				d["custom_middleware"] = map[string]any{"driver": "goplugin"}
			}},
			nil, authSymbol,
		},
		"a route for a path that is an operation's": {
			nil,
			changes{func(d map[string]any) {
				d["paths"] = map[string]any{"/orders": map[string]any{"get": map[string]any{"operationId": "listOrders"}}}
				value := at(oasGlobal(d), "pluginConfig", "data", "value")
				nameOperation(value, "listOrders")
				value["routes"] = append(value["routes"].([]any), map[string]any{"path": "/orders", "open": true})
			}},
			"has the operation's path",
		},
		"a keyless API without the pre plugin": {
			changes{keyless, func(d map[string]any) { at(d, "custom_middleware")["pre"] = []any{} }},
			changes{func(d map[string]any) {
				at(oasServer(d), "authentication")["enabled"] = false
				oasGlobal(d)["prePlugins"] = []any{}
			}},
			preSymbol,
		},
		"no auth_check": {
			changes{func(d map[string]any) { delete(at(d, "custom_middleware"), "auth_check") }},
			changes{func(d map[string]any) { delete(at(oasServer(d), "authentication"), "custom") }},
			authSymbol,
		},
		"an auth_check that is not enabled": {
			changes{func(d map[string]any) { d["custom_plugin_auth_enabled"] = false }},
			changes{func(d map[string]any) { at(oasServer(d), "authentication", "custom")["enabled"] = false }},
			authSymbol,
		},
		"an auth_check that is disabled": {
			changes{func(d map[string]any) { at(d, "custom_middleware", "auth_check")["disabled"] = true }},
			changes{func(d map[string]any) { at(oasServer(d), "authentication", "custom", "config")["enabled"] = false }},
			authSymbol,
		},
		"strip_auth_data without the post plugin": {
			changes{func(d map[string]any) { d["strip_auth_data"] = true; at(d, "custom_middleware")["post"] = nil }},
			changes{func(d map[string]any) {
				at(oasServer(d), "authentication")["stripAuthorizationData"] = true
				oasGlobal(d)["postPlugins"] = nil
			}},
			postSymbol,
		},
		"a token handler without the pre plugin": {
			changes{withTokenHandler, func(d map[string]any) { at(d, "custom_middleware")["pre"] = nil }}, nil, preSymbol,
		},
		"a token handler beside Tyk's CORS": {
			changes{withTokenHandler, func(d map[string]any) { at(d, "CORS")["enable"] = true }}, nil, "Tyk's own CORS",
		},
		"a member nobody knows": {
			changes{func(d map[string]any) { at(d, "config_data")["feed"] = true }},
			changes{func(d map[string]any) { at(oasGlobal(d), "pluginConfig", "data", "value")["feed"] = true }},
			"feed",
		},
		"a session rule nobody knows": {
			changes{func(d map[string]any) { at(d, "config_data", "session")["policy"] = "gold" }},
			changes{func(d map[string]any) {
				at(oasGlobal(d), "pluginConfig", "data", "value", "session")["policy"] = "gold"
			}},
			"policy",
		},
		"an operation in a classic definition": {
			changes{func(d map[string]any) { nameOperation(at(d, "config_data"), "listEvents") }}, nil, "only an OAS",
		},
		"an operation nobody has": {
			nil,
			changes{func(d map[string]any) {
				nameOperation(at(oasGlobal(d), "pluginConfig", "data", "value"), "listEvents")
			}},
			`no operation "listEvents"`,
		},
		"operations below a listen path with parameters": {
			nil,
			changes{func(d map[string]any) {
				at(oasServer(d), "listenPath")["value"] = "/{region}/"
				nameOperation(at(oasGlobal(d), "pluginConfig", "data", "value"), "listEvents")
			}},
			"listen path",
		},
	} {
		for kind, made := range map[string]struct {
			changes changes
			shape   func(map[string]any, string, string) map[string]any
		}{"classic": {test.classic, classic}, "OAS": {test.oas, openAPI}} {
			if made.changes == nil {
				continue
			}
			t.Run(name+", "+kind, func(t *testing.T) {
				definition := made.shape(object(t, plugintest.NewConfig("http://127.0.0.1:1").JSON(t)), "http://127.0.0.1:1", "p.so")
				for _, change := range made.changes {
					change(definition)
				}
				a := compiled(t, newHooks(discard()), newLoadedAPI(t, kind == "OAS", definition))
				if a.faults == nil || !strings.Contains(a.faults.Error(), test.says) {
					t.Errorf("the definition's faults: %v; want one about %q", a.faults, test.says)
				}
			})
		}
	}
}

func withTokenHandler(d map[string]any) {
	at(d, "config_data")["tokenHandler"] = map[string]any{
		"cookiePrefix": "shop", "cookieKeys": []any{map[string]any{"id": "1", "key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}},
		"origins": []string{"https://www.example.com"}, "clientId": "spa", "clientSecret": "s", "redirectUri": "https://www.example.com/",
		"postLogoutRedirectUris": []string{"https://www.example.com/"}, "scopes": []string{"openid"},
	}
}

// events has somebody told of them.
func events(names ...string) func(d map[string]any) {
	return func(d map[string]any) {
		for _, name := range names {
			at(d, "event_handlers", "events")[name] = []any{map[string]any{"handler_name": "eh_web_hook_handler", "handler_meta": map[string]any{"target_path": "http://127.0.0.1:1"}}}
		}
	}
}

// noneOfSeveral takes out the routes for any of several scopes.
func noneOfSeveral(d map[string]any) {
	config := at(d, "config_data")
	config["routes"] = config["routes"].([]any)[:2]
}

func nameOperation(config map[string]any, id string) {
	config["routes"] = []any{map[string]any{"operationId": id, "audience": "eventcatalog", "scopes": map[string]any{"all": []string{"eventcatalog.read"}}}}
}

// TestNotRefused: what looks like the refused and is none.
func TestNotRefused(t *testing.T) {
	for name, change := range map[string]func(d map[string]any){
		"a cache, with sessions": func(d map[string]any) {
			at(d, "cache_options")["enable_cache"] = true
			noneOfSeveral(d)
		},
		"a key of Tyk's own where there is no auth_check": func(d map[string]any) { d["use_keyless"], d["use_standard_auth"] = true, true },
		"events that come without the request, and one that nobody is told of": func(d map[string]any) {
			events("AuthFailure", "HostDown")(d)
			events := at(d, "event_handlers", "events")
			events["KeyExpired"] = []any{map[string]any{"handler_name": "eh_web_hook_handler", "handler_meta": map[string]any{"disabled": true}}}
		},
		"a list of addresses": func(d map[string]any) { d["enable_ip_whitelisting"] = true },
		"harmless tags":       func(d map[string]any) { d["tag_headers"] = []string{"X-Region"} },
		"a cache, every route open": func(d map[string]any) {
			d["use_keyless"] = true
			at(d, "cache_options")["enable_cache"] = true
			at(d, "config_data")["routes"] = []any{map[string]any{"path": "/*", "open": true}}
		},
		"Tyk's CORS, without a token handler": func(d map[string]any) { at(d, "CORS")["enable"] = true },
		"the older name of the auth_check's switch": func(d map[string]any) {
			d["custom_plugin_auth_enabled"] = false
			d["use_go_plugin_auth"] = true
		},
	} {
		t.Run(name, func(t *testing.T) {
			definition := classic(object(t, plugintest.NewConfig("http://127.0.0.1:1").JSON(t)), "http://127.0.0.1:1", "p.so")
			change(definition)
			if a := compiled(t, newHooks(discard()), newLoadedAPI(t, false, definition)); a.faults != nil {
				t.Error(a.faults)
			}
		})
	}
}

// TestGloballyRecorded: recording that is on for the whole gateway is refused as well.
func TestGloballyRecorded(t *testing.T) {
	global := config.Global
	t.Cleanup(func() { config.Global = global })
	config.Global = func() config.Config {
		return config.Config{AnalyticsConfig: config.AnalyticsConfigConfig{EnableDetailedRecording: true}}
	}
	definition := classic(object(t, plugintest.NewConfig("http://127.0.0.1:1").JSON(t)), "http://127.0.0.1:1", "p.so")
	a := compiled(t, newHooks(discard()), newLoadedAPI(t, false, definition))
	if a.faults == nil || !strings.Contains(a.faults.Error(), "analytics_config") {
		t.Errorf("faults: %v", a.faults)
	}
}

// TestAllFaultsAtOnce: a definition with three faults is refused with three.
func TestAllFaultsAtOnce(t *testing.T) {
	definition := classic(object(t, plugintest.NewConfig("http://127.0.0.1:1").JSON(t)), "http://127.0.0.1:1", "p.so")
	at(definition, "CORS")["options_passthrough"] = true
	at(definition, "config_data")["feed"] = true
	at(definition, "config_data", "session")["policy"] = "gold"
	a := compiled(t, newHooks(discard()), newLoadedAPI(t, false, definition))
	for _, want := range []string{"options_passthrough", "feed", "session: "} {
		if a.faults == nil || !strings.Contains(a.faults.Error(), want) {
			t.Errorf("faults %v; want one about %s", a.faults, want)
		}
	}
}

// TestRefusedAnswers: a refused API answers 500 to everybody, and its faults are in the log alone, once.
func TestRefusedAnswers(t *testing.T) {
	h, log := newLoggedHooks()
	definition := classic(object(t, plugintest.NewConfig("http://127.0.0.1:1").JSON(t)), "http://127.0.0.1:1", "p.so")
	at(definition, "CORS")["options_passthrough"] = true
	loaded := newLoadedAPI(t, false, definition)
	for range 3 {
		w := httptest.NewRecorder()
		loaded.chain(h, "http://127.0.0.1:1", nil).ServeHTTP(w, httptest.NewRequest("GET", "/health", nil))
		if w.Code != 500 || !strings.Contains(w.Body.String(), "configuration_refused") || strings.Contains(w.Body.String(), "passthrough") {
			t.Errorf("answered %d %s", w.Code, w.Body)
		}
	}
	if n := strings.Count(log.String(), "options_passthrough lets"); n != 1 {
		t.Errorf("the fault was logged %d times: %s", n, log)
	}
}
