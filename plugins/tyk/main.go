// Command tyk is phantomgate as a Tyk Go plugin: one .so with a symbol for each place where Tyk calls plugins. An API
// definition lists them, and carries gateway.Config in config_data (OAS: pluginConfig.data.value):
//
//	"custom_plugin_auth_enabled": true,
//	"custom_middleware": {
//		"driver": "goplugin",
//		"pre":        [{"name": "PhantomgatePre",  "path": "/opt/tyk-gateway/middleware/phantomgate.so"}],
//		"auth_check":  {"name": "PhantomgateAuth", "path": "/opt/tyk-gateway/middleware/phantomgate.so"},
//		"post":       [{"name": "PhantomgatePost", "path": "/opt/tyk-gateway/middleware/phantomgate.so"}]
//	},
//	"config_data": {"issuer": { … }, "routes": [ … ]}
//
// Which of them an API needs:
//
//   - PhantomgateAuth where Tyk is to know whose request it is (rate limits, quotas, policies, analytics): the default.
//   - PhantomgatePre where the API has use_keyless, and wherever there is a tokenHandler, whose OAuth agent it is. Where it is
//     listed it decides, and PhantomgateAuth goes by that.
//   - PhantomgatePost where strip_auth_data is on: Tyk removes Authorization after PhantomgateAuth has set it.
//
// A definition is read once, with its first request: Tyk has no earlier moment to tell a plugin of it. One that has
// faults, or asks Tyk for something that cannot be protected, answers every request with 500, and each fault stands in
// the gateway's log. docs/tyk.md is the operator's page.
package main

import (
	"net/http"

	"github.com/TykTechnologies/tyk/log"
)

// plugin is at package level since Tyk looks up plain functions: a symbol has no receiver.
var plugin = newHooks(slogFor(log.Get()))

// PhantomgatePre is for "pre": it is the OAuth agent of APIs with a tokenHandler, and swaps the token.
func PhantomgatePre(w http.ResponseWriter, r *http.Request) { plugin.guard(w, r, plugin.pre) }

// PhantomgateAuth is for "auth_check": it swaps the token, unless PhantomgatePre just did, and gives Tyk a session.
func PhantomgateAuth(w http.ResponseWriter, r *http.Request) { plugin.guard(w, r, plugin.auth) }

// PhantomgatePost is for "post": it puts the phantom token back after strip_auth_data, and refuses what neither of the other two
// has let through.
func PhantomgatePost(w http.ResponseWriter, r *http.Request) { plugin.guard(w, r, plugin.post) }

// main is never called: -buildmode=plugin wants it.
func main() {}
