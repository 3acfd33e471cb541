// Package config reads the issuer's one YAML file. It is strict: an unknown key, a missing value or a contradiction is
// refused, all faults at once, each with its line and its fix. Secrets come from files or from the environment. In every
// text ${NAME} stands for an environment variable, and ${NAME:-default} for one that may be missing; a file's path is
// relative to the YAML file. A duration is written like 15m or 24h.
package config

import "time"

// Config is the whole file, checked and resolved. It is read-only once loaded.
type Config struct {
	Demo   bool     `yaml:"demo"`   // permits demo secrets; refused unless every listener is loopback
	Issuer string   `yaml:"issuer"` // the public name: `iss`, and the base of every public URL
	Listen string   `yaml:"listen"` // host:port of the public side
	Hosts  []string `yaml:"hosts"`  // further Host values the public side answers to, besides the issuer's own
	Admin  Admin    `yaml:"admin"`  // the side that operators reach
	TLS    *TLS     `yaml:"tls"`    // nil: plain HTTP, for loopback or behind a proxy that ends TLS

	Storage Storage `yaml:"storage"`      // where the state is kept
	DataKey Secret  `yaml:"data_key"`     // 32 bytes, base64; kept outside the database; read it by OpenDataKey
	Signing Signing `yaml:"signing_keys"` // of the JWTs
	Feed    Feed    `yaml:"feed"`         // what gateways hear of revocations

	Policies  map[string]Policy `yaml:"policies"`  // lifetimes and manners, by name; clients refer to one
	Audiences []Audience        `yaml:"audiences"` // the services that tokens are meant for, with their scopes
	Clients   []Client          `yaml:"clients"`   // the apps, gateways and services that may ask for something
	Users     []User            `yaml:"users"`     // the people who can log in

	Warnings []string `yaml:"-"` // what is permitted but unwise; for the log
}

// Admin is the side that operators reach, and nobody else.
type Admin struct {
	Listen string   `yaml:"listen"` // host:port, another one than the public side's
	Hosts  []string `yaml:"hosts"`  // further Host values that it answers to, besides the address it listens on
}

// TLS names the certificate that the public side serves.
type TLS struct {
	CertFile string `yaml:"cert_file"` // PEM: the certificate, with its chain
	KeyFile  string `yaml:"key_file"`  // PEM: the private key that belongs to it
}

// Storage names the database.
type Storage struct {
	SQLite string `yaml:"sqlite"` // a file; made at first start
}

// Signing says how JWTs are signed and when keys rotate.
type Signing struct {
	Algorithm   string        `yaml:"algorithm"`     // ES256 (default), EdDSA or RS256
	RotateEvery time.Duration `yaml:"rotate_every"`  // default 30 days
	PublishFor  time.Duration `yaml:"publish_ahead"` // how long a key is in the JWKS before it signs; default 1 hour
}

// Feed bounds the revocation feed.
type Feed struct {
	StreamsPerClient int `yaml:"streams_per_client"` // one for each replica of a gateway; default 256, most 10000
}

// Policy says how long things live for the clients that name it.
type Policy struct {
	AccessToken     time.Duration `yaml:"access_token"`     // of a reference; default 15 minutes
	PhantomToken    time.Duration `yaml:"phantom_token"`    // of the JWT it is swapped for; default and most 5 minutes
	Code            time.Duration `yaml:"code"`             // default and most 1 minute
	RefreshIdle     time.Duration `yaml:"refresh_idle"`     // unused for so long, a refresh reference ends; default 24 hours
	RefreshAbsolute time.Duration `yaml:"refresh_absolute"` // a grant ends then, however often refreshed (without offline_access, with its login if that is sooner); default 30 days
	Session         time.Duration `yaml:"session"`          // of a login at the issuer; default 8 hours
	Refresh         string        `yaml:"refresh"`          // when a refresh reference is given: offline_access (default) or always
}

// Refresh manners of a policy.
const (
	RefreshOffline = "offline_access"
	RefreshAlways  = "always"
)

// Audience is a service that tokens are meant for.
type Audience struct {
	Name   string   `yaml:"name"`   // as it stands in `aud`
	Title  string   `yaml:"title"`  // what a person reads on the consent page; default: the name
	Scopes []Scope  `yaml:"scopes"` // what may be done there; a token's audiences follow from its scopes
	Claims []string `yaml:"claims"` // the users' claims that this audience may see
}

// Scope is what a client may do at one audience. Its name is unique over all audiences.
type Scope struct {
	Name  string `yaml:"name"`  // as it stands in `scope`
	Title string `yaml:"title"` // what a person reads on the consent page; default: the name
}

// Client is an app.
type Client struct {
	ID                     string     `yaml:"id"`                        // as it stands in `client_id`
	Name                   string     `yaml:"name"`                      // what a person reads; default: the id
	Public                 bool       `yaml:"public"`                    // no secret; PKCE stands in for it
	Secret                 Secret     `yaml:"secret"`                    // of a client that is not public
	GrantTypes             []string   `yaml:"grant_types"`               // authorization_code, refresh_token, client_credentials, or that of RFC 8693
	RedirectURIs           []string   `yaml:"redirect_uris"`             // compared exactly, but for the port of a loopback address (RFC 8252)
	PostLogoutRedirectURIs []string   `yaml:"post_logout_redirect_uris"` // where a logout may lead; compared in the same way
	Scopes                 []string   `yaml:"scopes"`                    // the most it may be granted
	Introspects            []string   `yaml:"introspects"`               // audiences whose tokens it may ask for (a gateway)
	Exchange               []Exchange `yaml:"exchange"`                  // what it may have instead of a token it received (a service)
	Consent                string     `yaml:"consent"`                   // ask (default) or skip
	PolicyName             string     `yaml:"policy"`                    // default: "default"

	Policy Policy `yaml:"-"` // the one it names, resolved
}

// Exchange is a rule of token exchange (RFC 8693): a service that was called with a token may have another one for the
// service that it calls in turn, on behalf of the same user. The rule alone bounds what that token may do: neither the
// user's client nor the token that was received need have the scopes.
type Exchange struct {
	From     string   `yaml:"from"`     // the audience that this client is the service of: what it received must be for it alone
	Audience string   `yaml:"audience"` // whom the new token is for
	Scopes   []string `yaml:"scopes"`   // the most that it may do there
}

// Consent manners of a client.
const (
	ConsentAsk  = "ask"
	ConsentSkip = "skip"
)

// User is a person who can log in.
type User struct {
	Login    string         `yaml:"login"`    // the name to log in by; `sub` is another, random one
	Password Password       `yaml:"password"` // its bcrypt hash, as `authserver hash-password` prints it
	Claims   map[string]any `yaml:"claims"`   // what is known of the user; an audience sees those that it lists
}
