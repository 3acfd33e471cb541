package server

import (
	"crypto/rand"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path"
	"runtime/debug"
	"strings"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
	"github.com/phantomgate/phantomgate/authserver/internal/server/wire"
	"github.com/phantomgate/phantomgate/authserver/internal/telemetry"
)

// guard is what every request passes before any handler: it gets an id, a panic becomes a 500, and an unknown Host is
// refused, so that a page of somebody else's name that resolves to our address (DNS rebinding) reaches nothing.
func guard(next http.Handler, hosts map[string]bool, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()[:16]
		w.Header().Set("X-Request-Id", id)
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		r = r.WithContext(telemetry.WithRequestID(r.Context(), id))
		defer recovered(w, r, log)
		if !hosts[strings.ToLower(r.Host)] {
			wire.JSON(w, http.StatusMisdirectedRequest, wire.Refusal{
				Code: oauth.InvalidRequest, Description: "this Host is not served here; its name belongs in `hosts` of the issuer's config",
			})
			return
		}
		if p := r.URL.Path; path.Clean(p) != strings.TrimSuffix(p, "/") && p != "/" {
			// ServeMux would redirect to the clean path with 307, and the browser would post its password again.
			wire.JSON(w, http.StatusNotFound, wire.Refusal{Code: oauth.NotFound, Description: "there is nothing at this path"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func recovered(w http.ResponseWriter, r *http.Request, log *slog.Logger) {
	cause := recover()
	if cause == nil {
		return
	}
	if cause == http.ErrAbortHandler { //nolint:errorlint // net/http's own sentinel, passed as is
		panic(cause)
	}
	log.ErrorContext(r.Context(), "panic", "path", r.URL.Path, "panic", cause, "stack", string(debug.Stack()))
	wire.JSON(w, http.StatusInternalServerError, wire.Refusal{
		Code: oauth.ServerError, Description: "something went wrong at the issuer; tell its operator the request id",
		RequestID: telemetry.RequestID(r.Context()),
	})
}

// hostsOf gives the Host values that a listener answers to: those of the base URL (if it is that listener's), those that
// the config lists, and the listener's own address, in every spelling of loopback if it is loopback.
func hostsOf(base, listen string, more []string) map[string]bool {
	hosts := map[string]bool{}
	for _, host := range more {
		hosts[strings.ToLower(host)] = true
	}
	if u, err := url.Parse(base); err == nil && u.Host != "" {
		hosts[strings.ToLower(u.Host)] = true
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return hosts
	}
	names := []string{host}
	if ip := net.ParseIP(host); host == "localhost" || ip.IsLoopback() {
		names = []string{"localhost", "127.0.0.1", "::1"}
	}
	for _, name := range names {
		hosts[strings.ToLower(net.JoinHostPort(name, port))] = true
	}
	return hosts
}
