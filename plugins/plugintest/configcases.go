package plugintest

import "strings"

// configCases: a config that is not wholly understood starts no gateway, and
// the message names every fault.
func configCases() []Case {
	faults := []struct {
		name   string
		change func(c *Config)
		says   []string // each must stand in the message
	}{
		{"no issuer", func(c *Config) { delete(c.Issuer, "issuer") }, []string{"issuer.issuer"}},
		{"no client", func(c *Config) { delete(c.Issuer, "clientId") }, []string{"issuer.clientId"}},
		{"no secret", func(c *Config) { delete(c.Issuer, "clientSecret") }, []string{"clientSecret"}},
		{"two secrets", func(c *Config) { c.Issuer["clientSecretEnv"] = "SECRET" }, []string{"clientSecret"}},
		{"a secret file that is not there", func(c *Config) {
			delete(c.Issuer, "clientSecret")
			c.Issuer["clientSecretFile"] = "testdata/no-such-secret"
		}, []string{"clientSecretFile"}},
		{"a misspelt key", func(c *Config) { c.Issuer["introspectionEndpiont"] = "http://127.0.0.1/" }, []string{"introspectionEndpiont"}},
		{"a key in the wrong case", func(c *Config) { c.Routes[0]["Audience"] = "eventcatalog" }, []string{"Audience"}},
		{"an issuer that is no URL", func(c *Config) { c.Issuer["issuer"] = "localhost" }, []string{"issuer.issuer"}},
		{"a cache that lives too long", func(c *Config) { c.Cache["maxAge"] = "1m" }, []string{"cache.maxAge"}},
		{"no routes", func(c *Config) { c.Routes = nil }, []string{"routes"}},
		{"a route without audience", func(c *Config) { delete(c.Routes[0], "audience") }, []string{"routes[0]", "audience"}},
		{"a route without scopes", func(c *Config) { delete(c.Routes[1], "scopes") }, []string{"routes[1]", "scope"}},
		{"open and guarded at once", func(c *Config) { c.Routes[0]["open"] = true }, []string{"routes[0]", "open"}},
		{"two rules for one request", func(c *Config) { c.Routes = append(c.Routes, c.Routes[0]) }, []string{"routes[9]"}},
		{"a pattern in the middle", func(c *Config) { c.Routes[0]["path"] = "/api/*/events" }, []string{"routes[0].path"}},
		{"several faults", func(c *Config) {
			delete(c.Routes[0], "audience")
			c.Routes[1]["scoops"] = "x"
			c.Cache["maxAge"] = "soon"
		}, []string{"routes[0]", "scoops", "cache.maxAge"}},
	}
	cases := []Case{{Name: "config/the suite's own is accepted", Check: func(*Walk) {}}}
	for _, f := range faults {
		cases = append(cases, Case{Name: "config/" + f.name, Check: func(w *Walk) { w.configRefused(f.change, f.says) }})
	}
	return cases
}

func (w *Walk) configRefused(change func(c *Config), says []string) {
	config := NewConfig(w.Issuer.URL)
	change(config)
	_, err := w.binding.Start(w.T, config.JSON(w.T), w.Upstream.URL)
	if err == nil {
		w.T.Fatal("the gateway started")
	}
	for _, word := range says {
		if !strings.Contains(err.Error(), word) {
			w.T.Errorf("the message is %q; want %q in it", err, word)
		}
	}
	if strings.Contains(err.Error(), gatewayS) {
		w.T.Error("the message holds the secret")
	}
}
