package demo

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"syscall"

	"github.com/phantomgate/phantomgate/testbed/freeaddress"
)

// Options move the demo. The zero value is the demo that the README speaks of.
type Options struct {
	GatewayAddr  string     // host:port; localhost:8080 unless set, and so on; port 0 takes a free one
	IssuerAddr   string     // localhost:8090
	AdminAddr    string     // localhost:8091
	DiscountAddr string     // localhost:8092; off the gateway
	DataDir      string     // kept; unless set, a new folder that is removed at the end
	TLS          bool       // gateway and issuer speak https, signed by a local authority under the data folder
	LogLevel     slog.Level // of all parts, on standard error
}

// FromEnvironment reads GATEWAY_ADDR, ISSUER_ADDR, ADMIN_ADDR, DISCOUNT_ADDR, DATA_DIR, TLS (0 or 1) and LOG_LEVEL (debug, info, warn,
// error; warn unless set).
func FromEnvironment(getenv func(string) string) (Options, error) {
	opts := Options{
		GatewayAddr: getenv("GATEWAY_ADDR"), IssuerAddr: getenv("ISSUER_ADDR"), AdminAddr: getenv("ADMIN_ADDR"),
		DiscountAddr: getenv("DISCOUNT_ADDR"), DataDir: getenv("DATA_DIR"), LogLevel: slog.LevelWarn,
	}
	var errs []error
	switch tls := getenv("TLS"); tls {
	case "", "0":
	case "1":
		opts.TLS = true
	default:
		errs = append(errs, fmt.Errorf("TLS=%q is neither 0 nor 1; set TLS=1 for https", tls))
	}
	if level := getenv("LOG_LEVEL"); level != "" {
		if err := opts.LogLevel.UnmarshalText([]byte(level)); err != nil {
			errs = append(errs, fmt.Errorf("LOG_LEVEL=%q is none; use debug, info, warn or error", level))
		}
	}
	return opts, errors.Join(errs...)
}

func (o Options) logLevel() string { return strings.ToUpper(o.LogLevel.String()) }

// address is a host and a port, neither empty.
type address struct{ host, port string }

func (a address) String() string { return net.JoinHostPort(a.host, a.port) }

func (a address) url(scheme string) string { return scheme + "://" + a.String() }

// plan is where everything will listen.
type plan struct {
	scheme                 string // of gateway and issuer as clients see them
	gateway, issuer, admin address
	discount               address
	issuerListen           address // where the issuer itself listens: with TLS, behind Caddy
}

// plan checks the addresses, all of them, and takes free ports where port 0 is asked for.
func (o Options) plan() (plan, error) {
	free, err := freeaddress.Find(5) // for the parts, and for the issuer behind Caddy: all at once, or two might be the same
	if err != nil {
		return plan{}, err
	}
	p := plan{scheme: "http"}
	var errs []error
	used, same := map[address]bool{}, false
	for i, part := range []struct {
		variable, value, fallback string
		to                        *address
	}{
		{"GATEWAY_ADDR", o.GatewayAddr, "localhost:8080", &p.gateway},
		{"ISSUER_ADDR", o.IssuerAddr, "localhost:8090", &p.issuer},
		{"ADMIN_ADDR", o.AdminAddr, "localhost:8091", &p.admin},
		{"DISCOUNT_ADDR", o.DiscountAddr, "localhost:8092", &p.discount},
	} {
		if part.value == "" {
			part.value = part.fallback
		}
		own, err := parseAddress(part.value)
		if err == nil && own.port == "0" {
			_, own.port, err = net.SplitHostPort(free[i])
		}
		if err == nil {
			*part.to, err = own.listen()
		}
		if err != nil { // then there is no address to compare
			errs = append(errs, fmt.Errorf("%s=%s: %w", part.variable, part.value, err))
			continue
		}
		same = same || used[*part.to]
		used[*part.to] = true
	}
	if same {
		errs = append(errs, errors.New("GATEWAY_ADDR, ISSUER_ADDR, ADMIN_ADDR and DISCOUNT_ADDR must differ"))
	}
	p.issuerListen = p.issuer
	if o.TLS {
		p.scheme = "https"
		p.issuerListen, err = parseAddress(free[4])
		errs = append(errs, err)
	}
	return p, errors.Join(errs...)
}

// parseAddress reads host:port. The demo's secrets are public, so only this machine may reach it.
func parseAddress(value string) (address, error) {
	host, port, err := net.SplitHostPort(value)
	if err != nil || port == "" {
		return address{}, errors.New("this is not host:port; write it like localhost:8080")
	}
	if host == "" {
		host = "localhost"
	}
	ip, err := netip.ParseAddr(host)
	if host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return address{}, errors.New("this is not a loopback address, and everybody knows the demo's secrets; write it like localhost:8080")
	}
	return address{host, port}, nil
}

// listen finds out whether the address can be listened on, and gives it with its port as a number.
func (a address) listen() (address, error) {
	listener, err := net.Listen("tcp", a.String())
	if errors.Is(err, syscall.EADDRINUSE) {
		return address{}, errors.New("the address is in use; end what listens there, or set the variable to another one, such as localhost:18080")
	}
	if err != nil {
		return address{}, fmt.Errorf("cannot listen there: %w", err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return address{a.host, port}, errors.Join(err, listener.Close())
}

// settings are what issuer.yaml and the Caddyfile take from the demo.
func (p plan) settings(dataDir, logLevel string) map[string]string {
	protocols := "h1"
	if p.scheme == "https" {
		protocols = "h1 h2"
	}
	return map[string]string{
		"DATA_DIR":          dataDir,
		"LOG_LEVEL":         logLevel,
		"GATEWAY_SCHEME":    p.scheme,
		"GATEWAY_PROTOCOLS": protocols,
		"GATEWAY_HOST":      p.gateway.host,
		"GATEWAY_PORT":      p.gateway.port,
		"GATEWAY_URL":       p.gateway.url(p.scheme),
		"ISSUER_URL":        p.issuer.url(p.scheme),
		"ISSUER_LISTEN":     p.issuerListen.String(),
		"ADMIN_LISTEN":      p.admin.String(),
	}
}
