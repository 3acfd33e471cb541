package config

import "time"

// The defaults of what the file leaves out, and the bounds of what it says.
const (
	DefaultPolicy = "default" // the policy of clients that name none; it is there even when the file has no policies

	MaxPhantomToken = 5 * time.Minute
	MaxCode         = time.Minute
)

// Algorithms that JWTs may be signed with.
const (
	ES256 = "ES256"
	EdDSA = "EdDSA"
	RS256 = "RS256"
)

func (c *Config) fillDefaults() {
	orElse(&c.Signing.Algorithm, ES256)
	orElse(&c.Signing.RotateEvery, 30*24*time.Hour)
	orElse(&c.Signing.PublishFor, time.Hour)

	orElse(&c.Feed.StreamsPerClient, 256)

	if c.Policies == nil {
		c.Policies = map[string]Policy{}
	}
	if _, ok := c.Policies[DefaultPolicy]; !ok {
		c.Policies[DefaultPolicy] = Policy{}
	}
	for name, policy := range c.Policies {
		policy.fillDefaults()
		c.Policies[name] = policy
	}
	for i := range c.Clients {
		client := &c.Clients[i]
		orElse(&client.Name, client.ID)
		orElse(&client.Consent, ConsentAsk)
		orElse(&client.PolicyName, DefaultPolicy)
		client.Policy = c.Policies[client.PolicyName]
	}
	for i := range c.Audiences {
		audience := &c.Audiences[i]
		orElse(&audience.Title, audience.Name)
		for j := range audience.Scopes {
			orElse(&audience.Scopes[j].Title, audience.Scopes[j].Name)
		}
	}
}

func (p *Policy) fillDefaults() {
	orElse(&p.AccessToken, 15*time.Minute)
	orElse(&p.PhantomToken, MaxPhantomToken)
	orElse(&p.Code, MaxCode)
	orElse(&p.RefreshIdle, 24*time.Hour)
	orElse(&p.RefreshAbsolute, 30*24*time.Hour)
	orElse(&p.Session, 8*time.Hour)
	orElse(&p.Refresh, RefreshOffline)
}

func orElse[T comparable](v *T, fallback T) {
	var zero T
	if *v == zero {
		*v = fallback
	}
}
