package tokenhandler

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		fields []string
	}{
		"none": {func(*Config) {}, nil},
		"a local origin": {func(c *Config) {
			*c = testConfig("https://i.example")
			c.Origins = []string{"http://localhost:8080"}
			c.RedirectURI = "http://localhost:8080/"
			c.PostLogoutRedirectURIs = []string{"http://localhost:8080/"}
		}, nil},
		"no prefix":               {func(c *Config) { c.CookiePrefix = "" }, []string{"cookiePrefix"}},
		"capitals in the prefix":  {func(c *Config) { c.CookiePrefix = "Shop" }, []string{"cookiePrefix"}},
		"the root as path":        {func(c *Config) { c.Path = "/" }, []string{"path"}},
		"a path without slash":    {func(c *Config) { c.Path = "oauth-agent" }, []string{"path"}},
		"a path with a slash end": {func(c *Config) { c.Path = "/oauth-agent/" }, []string{"path"}},
		"a path with escapes":     {func(c *Config) { c.Path = "/oauth%2dagent" }, []string{"path"}},
		"no keys":                 {func(c *Config) { c.CookieKeys = nil }, []string{"cookieKeys"}},
		"a short key":             {func(c *Config) { c.CookieKeys[0].Secret = make([]byte, 31) }, []string{"cookieKeys[0].key"}},
		"a key without id":        {func(c *Config) { c.CookieKeys[0].ID = "" }, []string{"cookieKeys[0].id"}},
		"an id twice":             {func(c *Config) { c.CookieKeys = []Key{testKey("a", 1), testKey("a", 2)} }, []string{"cookieKeys[1].id"}},
		"a key twice":             {func(c *Config) { c.CookieKeys = []Key{testKey("a", 1), testKey("b", 1)} }, []string{"cookieKeys[1].key"}},
		"no origins":              {func(c *Config) { c.Origins = nil }, []string{"origins", "redirectUri", "postLogoutRedirectUris[0]", "postLogoutRedirectUris[1]"}},
		"a wildcard origin":       {func(c *Config) { c.Origins = append(c.Origins, "*") }, []string{"origins[2]"}},
		"an origin with a path":   {func(c *Config) { c.Origins = append(c.Origins, "https://a.example/") }, []string{"origins[2]"}},
		"an origin with its port": {func(c *Config) { c.Origins = append(c.Origins, "https://a.example:443") }, []string{"origins[2]"}},
		"an origin in capitals":   {func(c *Config) { c.Origins = append(c.Origins, "https://A.example") }, []string{"origins[2]"}},
		"an http origin":          {func(c *Config) { c.Origins = append(c.Origins, "http://a.example") }, []string{"origins[2]"}},
		"null":                    {func(c *Config) { c.Origins = append(c.Origins, "null") }, []string{"origins[2]"}},
		"an origin twice":         {func(c *Config) { c.Origins = append(c.Origins, appOrigin) }, []string{"origins[2]"}},
		"a wildcard header":       {func(c *Config) { c.AllowHeaders, c.ExposeHeaders = []string{"*"}, []string{"a b"} }, []string{"allowHeaders[0]", "exposeHeaders[0]"}},
		"a foreign page":          {func(c *Config) { c.RedirectURI = "https://evil.example/" }, []string{"redirectUri"}},
		"a page with a query":     {func(c *Config) { c.RedirectURI = appPage + "?x=1" }, []string{"redirectUri"}},
		"a foreign return":        {func(c *Config) { c.PostLogoutRedirectURIs = []string{"https://evil.example/"} }, []string{"postLogoutRedirectUris[0]"}},
		"no return":               {func(c *Config) { c.PostLogoutRedirectURIs = nil }, []string{"postLogoutRedirectUris"}},
		"no endpoint":             {func(c *Config) { c.TokenEndpoint = "" }, []string{"tokenEndpoint"}},
		"a file as endpoint":      {func(c *Config) { c.UserInfoEndpoint = "file:///etc/passwd" }, []string{"userInfoEndpoint"}},
		"no client":               {func(c *Config) { c.ClientID, c.ClientSecret = "", "" }, []string{"clientId", "clientSecret"}},
		"no openid":               {func(c *Config) { c.Scopes = []string{"a b"} }, []string{"scopes", "scopes[0]"}},
		"a reserved parameter":    {func(c *Config) { c.ExtraParams = []string{"prompt", "redirect_uri", "request"} }, []string{"extraParams[1]", "extraParams[2]"}},
		"times": {func(c *Config) {
			c.SessionMaxAge, c.LoginMaxAge, c.RefreshMargin, c.Timeout = 0, -1, 2*time.Hour, time.Hour
		}, []string{"sessionMaxAge", "loginMaxAge", "refreshMargin", "timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig("https://issuer.example")
			c.change(&cfg)
			var got []string
			for _, f := range cfg.Faults() {
				got = append(got, f.Field)
				if f.Problem == "" || strings.Contains(f.Problem, testSecret) {
					t.Errorf("%s: the problem is %q", f.Field, f.Problem)
				}
			}
			if strings.Join(got, " ") != strings.Join(c.fields, " ") {
				t.Errorf("faults at %v; want %v", got, c.fields)
			}
		})
	}
}

func TestNewRefusesAllAtOnce(t *testing.T) {
	_, err := New(Config{}, Options{})
	for _, field := range []string{"cookiePrefix", "cookieKeys", "origins", "tokenEndpoint", "clientSecret", "Keys, Logger and Now"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%q is not in %v", field, err)
		}
	}
}

// A configuration that is printed shows no secret.
func TestConfigHidesSecrets(t *testing.T) {
	cfg := testConfig("https://issuer.example")
	var b bytes.Buffer
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "key", cfg.CookieKeys[0], "keys", cfg.CookieKeys, "config", cfg)
	fmt.Fprintf(&b, "%v %+v %#v %v %s %q", cfg, cfg, cfg, &cfg, cfg.CookieKeys, []any{cfg})
	if s := b.String(); strings.Contains(s, testSecret) || strings.Contains(s, "\x01\x01") || strings.Contains(s, `\x01\x01`) || strings.Contains(s, "1 1 1") {
		t.Errorf("a secret is shown: %s", s)
	}
}
