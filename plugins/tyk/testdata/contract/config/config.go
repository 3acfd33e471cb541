// Package config is the contract of Tyk's package of that name: what the binding asks of the gateway's own configuration.
package config

// Config is the gateway's configuration.
type Config struct {
	AnalyticsConfig             AnalyticsConfigConfig
	EnforceOrgDataDetailLogging bool
}

// AnalyticsConfigConfig says what is recorded of requests.
type AnalyticsConfigConfig struct {
	EnableDetailedRecording bool
}

// Global returns the configuration in force.
var Global = func() Config { return Config{} }
