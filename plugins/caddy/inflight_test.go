package caddy_test

import (
	"net/http"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// inFlight is a handler that counts the requests behind it. caddy.Stop does not wait for those that were upgraded: it
// writes to their connections while they still count what they wrote there, a data race inside Caddy (v2.11.9,
// caddyhttp.hijackedConn). A test that has ended its tunnels waits here until Caddy has seen it, and stops it then.
type inFlight struct{ requests *sync.WaitGroup }

// requests is what every inFlight counts in: Caddy makes its modules itself, and there is one Caddy in a process.
var requests sync.WaitGroup

func init() { caddy.RegisterModule(inFlight{}) }

func (inFlight) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.in_flight", New: func() caddy.Module { return &inFlight{&requests} }}
}

func (f inFlight) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	f.requests.Add(1)
	defer f.requests.Done()
	return next.ServeHTTP(w, r)
}
