package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// wire is a network before the issuer: a TCP proxy that does to connections what networks do to them.
type wire struct {
	proxy *toxiproxy.Proxy // nil: it is straight
	// address is where it takes connections. The proxy has it too, but writes it whenever it starts.
	address string
	http    *http.Transport // goes over it, whatever the request's address
}

func newWire(from, to string) (*wire, error) {
	// The proxy's own API is not served. What it would log is what it is told to do.
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	w := &wire{proxy: toxiproxy.NewProxy(server, "issuer", from, to), address: from}
	w.http = &http.Transport{MaxIdleConnsPerHost: 16, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, w.address)
	}}
	if err := w.proxy.Start(); err != nil {
		return nil, err
	}
	return w, nil
}

// cut has whatever is sent from now on vanish, either way. Connections stay open, and new ones are taken.
func (w *wire) cut() error {
	return errors.Join(w.add(`{"type":"timeout","stream":"upstream"}`), w.add(`{"type":"timeout","stream":"downstream"}`))
}

// delay has what the issuer sends come so much later.
func (w *wire) delay(by time.Duration) error {
	return w.add(fmt.Sprintf(`{"type":"latency","stream":"downstream","attributes":{"latency":%d}}`, by.Milliseconds()))
}

// add puts a toxic on the connections that there are, and on those to come.
func (w *wire) add(toxic string) error {
	_, err := w.proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
	return err
}

// refuse breaks all connections, and has new ones refused.
func (w *wire) refuse() error {
	w.proxy.Stop()
	return nil
}

// mend makes it whole. Connections that were cut turn out to be dead.
func (w *wire) mend() error {
	w.proxy.Toxics.ResetToxics(context.Background())
	if w.proxy.Enabled {
		return nil
	}
	return w.proxy.Start()
}

func (w *wire) close() error {
	w.http.CloseIdleConnections()
	if w.proxy != nil {
		w.proxy.Stop()
	}
	return nil
}
