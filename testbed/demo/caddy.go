package demo

import (
	_ "embed"
	"fmt"
	"regexp"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"

	// The parts of Caddy that the demo's Caddyfile names, and our own.
	_ "github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/caddyserver/caddy/v2/modules/caddypki"
	_ "github.com/caddyserver/caddy/v2/modules/caddytls"
	_ "github.com/caddyserver/caddy/v2/modules/filestorage"
	_ "github.com/phantomgate/phantomgate/plugins/caddy"
)

//go:embed Caddyfile
var gatewayFile string

//go:embed Caddyfile.tls
var tlsFile string

// placeholder is {$NAME}, which Caddy itself would take from the process's environment: a demo that runs inside a test
// has settings of its own.
var placeholder = regexp.MustCompile(`\{\$([A-Z_]+)\}`)

// startCaddy makes the process's Caddy serve the Caddyfile; a process has only one. stopCaddy ends it.
func startCaddy(file string, settings map[string]string) error {
	config, err := adapt(file, settings)
	if err != nil {
		return fmt.Errorf("the gateway's Caddyfile: %w", err)
	}
	if err := caddy.Load(config, true); err != nil {
		return fmt.Errorf("starting the gateway: %w", err)
	}
	return nil
}

func adapt(file string, settings map[string]string) ([]byte, error) {
	var missing []string
	file = placeholder.ReplaceAllStringFunc(file, func(found string) string {
		name := found[2 : len(found)-1]
		value, ok := settings[name]
		if !ok {
			missing = append(missing, name)
		}
		return value
	})
	if len(missing) > 0 {
		return nil, fmt.Errorf("nothing is known of %s", strings.Join(missing, ", "))
	}
	config, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(file), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return nil, err
	}
	if len(warnings) > 0 {
		return nil, fmt.Errorf("it is accepted only with a warning: %v", warnings[0])
	}
	return config, nil
}

func stopCaddy() error { return caddy.Stop() }
