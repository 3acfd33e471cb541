package plugintest

import (
	"net/http"

	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// signalFaults are mistakes with a foreign issuer's feed. Those in the core's
// own parts are in plugins/controls_signals_test.go.
var signalFaults = []fault{
	{name: "caches for ever, whatever is signalled", binding: wrapped(cachesForEver),
		fails: []string{"signals/a revoked*", "signals/a session's*", "signals/a subject*", "signals/changed*", "signals/what the issuer*",
			"signals/silent*", "signals/paused*", "signals/a token that*", "signals/a stream that brings*", "signals/* everything is asked for again"}},
	{name: "hears signals, and remembers nothing", binding: wrapped(remembersNothing), fails: []string{"signals/an event of before*"}},
	{name: "always sends the secret for the feed in the header", binding: reverseProxy{config: func(c *gateway.Config) { c.Issuer.ClientAuth = "" },
		transport: func() http.RoundTripper { return noBasic{} }}, fails: []string{"signals/the secret*"}},
}

// noBasic stands for an issuer that does not read HTTP Basic.
type noBasic struct{}

func (noBasic) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, _, basic := r.BasicAuth(); basic {
		r = r.Clone(r.Context())
		r.Header.Del("Authorization")
	}
	return http.DefaultTransport.RoundTrip(r)
}
