package demo

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestTheCaddyfileAdapts checks both forms of the gateway's config without starting it: no placeholder is left, nothing
// is written outside the data folder, and no administration endpoint listens.
func TestTheCaddyfileAdapts(t *testing.T) {
	for name, c := range map[string]struct {
		file string
		tls  bool
	}{"plain": {gatewayFile, false}, "TLS": {gatewayFile + "\n" + tlsFile, true}} {
		t.Run(name, func(t *testing.T) {
			plan, err := Options{GatewayAddr: "localhost:0", IssuerAddr: "localhost:0", AdminAddr: "localhost:0", DiscountAddr: "localhost:0", TLS: c.tls}.plan()
			if err != nil {
				t.Fatal(err)
			}
			settings := plan.settings("/data folder", "WARN")
			for _, upstream := range []string{"EVENTCATALOG", "SHOPPINGBASKET", "ACCOUNT", "SHOP"} {
				settings[upstream] = "127.0.0.1:1"
			}
			config, err := adapt(c.file, settings)
			if err != nil {
				t.Fatal(err)
			}
			var got struct {
				Admin struct {
					Disabled bool `json:"disabled"`
					Config   struct {
						Persist *bool `json:"persist"`
					} `json:"config"`
				} `json:"admin"`
				Storage struct {
					Root string `json:"root"`
				} `json:"storage"`
				Apps struct {
					HTTP struct {
						Servers map[string]struct {
							Listen []string `json:"listen"`
						} `json:"servers"`
					} `json:"http"`
				} `json:"apps"`
			}
			if err := json.Unmarshal(config, &got); err != nil {
				t.Fatal(err)
			}
			if !got.Admin.Disabled || got.Admin.Config.Persist == nil || *got.Admin.Config.Persist || got.Storage.Root != "/data folder/caddy" {
				t.Errorf("admin, persistence or storage are not as they must be: %s", config)
			}
			for _, server := range got.Apps.HTTP.Servers {
				for _, listen := range server.Listen {
					if !strings.HasPrefix(listen, "localhost:") {
						t.Errorf("it listens on %s", listen)
					}
				}
			}
			if strings.Contains(string(config), "{$") {
				t.Errorf("a placeholder is left: %s", config)
			}
		})
	}
	if _, err := adapt("{$NOBODY_KNOWS}", nil); err == nil || !strings.Contains(err.Error(), "NOBODY_KNOWS") {
		t.Errorf("an unknown placeholder: %v", err)
	}
}
