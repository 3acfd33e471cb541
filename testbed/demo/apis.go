package demo

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/phantomgate/phantomgate/testbed/apis/account"
	"github.com/phantomgate/phantomgate/testbed/apis/discount"
	"github.com/phantomgate/phantomgate/testbed/apis/eventcatalog"
	"github.com/phantomgate/phantomgate/testbed/apis/shoppingbasket"
	"github.com/phantomgate/phantomgate/testbed/spa"
)

// basketSecret is the one of the client "shoppingbasket" in issuer.yaml.
const basketSecret = "shoppingbasket-demo-secret"

// operatorSecret is the one of the client "operator" in issuer.yaml.
const operatorSecret = "operator-demo-secret"

// startAPIs serves the APIs and the shop, each on a loopback port of its own, and tells the gateway's settings of those it has
// routes to.
func (d *Demo) startAPIs(p plan, settings map[string]string, logger *slog.Logger) error {
	issuer := "http://" + p.issuerListen.String()
	keys := issuer + "/oauth/jwks"
	part := func(name string) *slog.Logger { return logger.With("part", name) }

	events, err := eventcatalog.New(eventcatalog.Config{Issuer: d.IssuerURL, JWKSURL: keys, Logger: part("eventcatalog")})
	if err != nil {
		return err
	}
	if settings["EVENTCATALOG"], err = d.serve("eventcatalog", "127.0.0.1:0", events, part("eventcatalog")); err != nil {
		return err
	}
	d.EventcatalogURL = "http://" + settings["EVENTCATALOG"]

	discounts, err := discount.New(discount.Config{Issuer: d.IssuerURL, JWKSURL: keys, Logger: part("discount")})
	if err != nil {
		return err
	}
	if _, err := d.serve("discount", p.discount.String(), discounts, part("discount")); err != nil {
		return err
	}
	d.DiscountURL = p.discount.url("http")

	basket, err := shoppingbasket.New(shoppingbasket.Config{
		Issuer: d.IssuerURL, JWKSURL: keys, TokenURL: issuer + "/oauth/token", ClientID: "shoppingbasket", ClientSecret: basketSecret,
		EventsURL: d.GatewayURL + "/api/eventcatalog/events", DiscountURL: d.DiscountURL, Gateway: gatewayClient(d.CAFile),
		Logger: part("shoppingbasket"),
	})
	if err != nil {
		return err
	}
	if settings["SHOPPINGBASKET"], err = d.serve("shoppingbasket", "127.0.0.1:0", basket, part("shoppingbasket")); err != nil {
		return err
	}
	d.ShoppingbasketURL = "http://" + settings["SHOPPINGBASKET"]

	own, err := account.New(account.Config{
		Issuer: d.IssuerURL, JWKSURL: keys, TokenURL: issuer + "/oauth/token", RevocationsURL: d.AdminURL + "/admin/v1/revocations",
		OperatorID: "operator", OperatorSecret: operatorSecret, Logger: part("account"),
	})
	if err != nil {
		return err
	}
	if settings["ACCOUNT"], err = d.serve("account", "127.0.0.1:0", own, part("account")); err != nil {
		return err
	}

	shop, err := spa.New()
	if err != nil {
		return err
	}
	settings["SHOP"], err = d.serve("shop", "127.0.0.1:0", shop, part("shop"))
	return err
}

// serve serves a part until the demo ends, and gives the address.
func (d *Demo) serve(name, address string, handler http.Handler, logger *slog.Logger) (string, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("starting the %s: %w", name, err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn)}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			d.failed <- fmt.Errorf("the %s has ended: %w", name, err)
		}
	}()
	d.stops = append(d.stops, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownTime)
		defer cancel()
		return server.Shutdown(ctx)
	})
	return listener.Addr().String(), nil
}

// gatewayClient calls the gateway, whose certificate is signed by the authority in caFile unless that is empty. The file is
// read at the first call: it is there once the gateway runs, which starts after the APIs.
func gatewayClient(caFile string) *http.Client {
	client := &http.Client{Timeout: 5 * time.Second}
	if caFile != "" {
		client.Transport = trusting(sync.OnceValues(func() (http.RoundTripper, error) {
			pool, err := authorities(caFile)
			if err != nil {
				return nil, err
			}
			return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}, nil
		}))
	}
	return client
}

// trusting gives the transport to send a request with.
type trusting func() (http.RoundTripper, error)

// RoundTrip implements http.RoundTripper.
func (t trusting) RoundTrip(r *http.Request) (*http.Response, error) {
	transport, err := t()
	if err != nil {
		return nil, err
	}
	return transport.RoundTrip(r)
}
