// Package apidef is the contract of Tyk's package of that name: a classic API definition, as far as the binding reads it
// (as JSON) or a test of the binding writes it.
package apidef

// APIDefinition is a classic API definition.
type APIDefinition struct {
	APIID                   string                 `json:"api_id"`
	OrgID                   string                 `json:"org_id"`
	UseKeylessAccess        bool                   `json:"use_keyless"`
	CustomPluginAuthEnabled bool                   `json:"custom_plugin_auth_enabled"`
	UseGoPluginAuth         bool                   `json:"use_go_plugin_auth"`
	UseStandardAuth         bool                   `json:"use_standard_auth"`
	EnableJWT               bool                   `json:"enable_jwt"`
	GraphQL                 GraphQLConfig          `json:"graphql"`
	ApplicationProtocol     string                 `json:"application_protocol"`
	TagHeaders              []string               `json:"tag_headers"`
	EventHandlers           EventHandlerMetaConfig `json:"event_handlers"`
	StripAuthData           bool                   `json:"strip_auth_data"`
	EnableIpWhiteListing    bool                   `json:"enable_ip_whitelisting"`
	EnableIpBlacklisting    bool                   `json:"enable_ip_blacklisting"`
	EnableDetailedRecording bool                   `json:"enable_detailed_recording"`
	CustomMiddlewareBundle  string                 `json:"custom_middleware_bundle"`
	CustomMiddleware        MiddlewareSection      `json:"custom_middleware"`
	VersionData             VersionData            `json:"version_data"`
	Proxy                   ProxyConfig            `json:"proxy"`
	CORS                    CORSConfig             `json:"CORS"`
	CacheOptions            CacheOptions           `json:"cache_options"`
	ConfigData              map[string]interface{} `json:"config_data"`
	ConfigDataDisabled      bool                   `json:"config_data_disabled"`
}

// MiddlewareSection lists the plugins of an API.
type MiddlewareSection struct {
	Pre         []MiddlewareDefinition `json:"pre"`
	AuthCheck   MiddlewareDefinition   `json:"auth_check"`
	PostKeyAuth []MiddlewareDefinition `json:"post_key_auth"`
	Post        []MiddlewareDefinition `json:"post"`
	Driver      string                 `json:"driver"`
}

// MiddlewareDefinition is one plugin.
type MiddlewareDefinition struct {
	Disabled bool   `json:"disabled"`
	Name     string `json:"name"`
	Path     string `json:"path"`
}

// EventHandlerMetaConfig says who is told of which events.
type EventHandlerMetaConfig struct {
	Events map[TykEvent][]EventHandlerTriggerConfig `json:"events"`
}

// TykEvent is the name of an event.
type TykEvent string

// EventHandlerTriggerConfig is one who is told.
type EventHandlerTriggerConfig struct {
	HandlerMeta map[string]interface{} `json:"handler_meta"`
}

// VersionData says what is done on the paths of each version.
type VersionData struct {
	Versions map[string]VersionInfo `json:"versions"`
}

// VersionInfo is one version.
type VersionInfo struct {
	ExtendedPaths ExtendedPathsSet `json:"extended_paths"`
}

// ExtendedPathsSet is what is done on paths.
type ExtendedPathsSet struct {
	URLRewrite []URLRewriteMeta `json:"url_rewrites,omitempty"`
	Virtual    []VirtualMeta    `json:"virtual,omitempty"`
	GoPlugin   []GoPluginMeta   `json:"go_plugin,omitempty"`
}

// URLRewriteMeta leads requests elsewhere.
type URLRewriteMeta struct {
	RewriteTo string `json:"rewrite_to"`
}

// VirtualMeta is an endpoint that is a script.
type VirtualMeta struct {
	Path string `json:"path"`
}

// GoPluginMeta is a plugin of one path.
type GoPluginMeta struct {
	SymbolName string `json:"func_name"`
}

// GraphQLConfig says whether the API is one of GraphQL.
type GraphQLConfig struct {
	Enabled bool `json:"enabled"`
}

// ProxyConfig is where requests come in, and where they go.
type ProxyConfig struct {
	ListenPath string   `json:"listen_path"`
	TargetURL  string   `json:"target_url"`
	Targets    []string `json:"target_list"`
}

// CORSConfig is what Tyk itself answers to preflights.
type CORSConfig struct {
	Enable             bool `json:"enable"`
	OptionsPassthrough bool `json:"options_passthrough"`
}

// CacheOptions is what Tyk keeps of answers.
type CacheOptions struct {
	EnableCache bool `json:"enable_cache"`
}
