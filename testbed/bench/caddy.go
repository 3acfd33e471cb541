package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"sync/atomic"

	"github.com/phantomgate/phantomgate/testbed/figures"
	"github.com/phantomgate/phantomgate/testbed/freeaddress"
)

const (
	fewTokens  = 10   // so few that nearly every request is a hit
	manyTokens = 1000 // so many that the second a token is cached for is felt
)

// measureCaddy sends the same requests through Caddy with the plugin and through Caddy without, to the same API.
func measureCaddy(ctx context.Context, l *lab, s settings) ([]figures.Figure, error) {
	fewTokens, manyTokens := min(fewTokens, s.tokens), min(manyTokens, s.tokens)
	gateway, plain, asked, end, err := l.caddySides(ctx, manyTokens)
	if err != nil {
		return nil, err
	}
	defer end()
	few, many := cycle(fewTokens, gateway.request), cycle(manyTokens, gateway.request)
	gateway.request, plain.request = few, few
	cached, err := alternate(ctx, s.rounds, s.proxied, s.readers, gateway, plain)
	if err != nil {
		return nil, err
	}
	askedCached := asked.Swap(0)
	gateway.request, plain.request = many, many
	busy, err := alternate(ctx, s.rounds, s.proxied, s.readers, gateway, plain)
	if err != nil {
		return nil, err
	}
	thousands := float64((s.rounds+1)*s.proxied) / 1000
	o, p := cached[0], cached[1]
	return []figures.Figure{
		figures.AtLeast(0.95, "caddy_cached_cpu", "x", ratio(p, o, turn.cpuEach),
			fmt.Sprintf("processor time a request, plain reverse_proxy / with the plugin: %d tokens, %d connections", fewTokens, s.readers)),
		figures.Informative("caddy_cached_throughput", "x", ratio(o, p, turn.rate), "requests a second, with the plugin / plain"),
		figures.Informative("caddy_cached_introspections", "1/1000", figures.Spread{Median: float64(askedCached) / thousands}, "introspections, counted in caddy_cached_cpu"),
		figures.Informative("caddy_cached_p50", "µs", perRound(o, turn.p50), fmt.Sprintf("time to the answer; plain %.0f", perRound(p, turn.p50).Median)),
		figures.Informative("caddy_cached_p99", "µs", perRound(o, turn.p99), fmt.Sprintf("plain %.0f", perRound(p, turn.p99).Median)),
		figures.Informative("caddy_cpu_time", "µs", perRound(o, turn.cpuEach), fmt.Sprintf("processor time of a request; plain %.4g", perRound(p, turn.cpuEach).Median)),
		figures.Informative("caddy_busy_cpu", "x", ratio(busy[1], busy[0], turn.cpuEach), fmt.Sprintf("as caddy_cached_cpu with %d tokens", manyTokens)),
		figures.Informative("caddy_busy_introspections", "1/1000", figures.Spread{Median: float64(asked.Load()) / thousands}, "introspections, counted in caddy_busy_cpu"),
	}, l.stop()
}

// caddySides starts both Caddys with what is before and behind them. Their requests are about n tokens. asked counts the
// introspections; end ends the counting.
func (l *lab) caddySides(ctx context.Context, n int) (gateway, plain side, asked *atomic.Int64, end func(), err error) {
	fail := func(err error) (side, side, *atomic.Int64, func(), error) { return side{}, side{}, nil, nil, err }
	issuer, err := l.startIssuer(ctx)
	if err != nil {
		return fail(err)
	}
	references, err := issuer.references(ctx, n)
	if err != nil {
		return fail(err)
	}
	api, err := l.start(ctx, "floor", nil, "answer")
	if err != nil {
		return fail(err)
	}
	between, asked, end, err := count(issuer.addr)
	if err != nil {
		return fail(err)
	}
	env := []string{"UPSTREAM=" + api.address, "DATA_DIR=" + l.path("caddy"),
		"ISSUER=http://" + issuer.addr, "ISSUER_URL=" + between, "GATEWAY_SECRET=" + gatewaySecret}
	gateway, err = l.startCaddy(ctx, "gateway.caddyfile", env)
	plain, errPlain := l.startCaddy(ctx, "plain.caddyfile", env)
	if err := errors.Join(err, errPlain); err != nil {
		end()
		return fail(err)
	}
	gateway.request = func(i int) []byte {
		return get("api.example", "/api/eventcatalog/events", "User-Agent: demo/1.0\r\nAccept: application/json\r\nAuthorization: Bearer "+references[i]+"\r\n")
	}
	return gateway, plain, asked, end, nil
}

func (l *lab) startCaddy(ctx context.Context, file string, env []string) (side, error) {
	free, err := freeaddress.Find(1)
	if err != nil {
		return side{}, err
	}
	_, port, err := net.SplitHostPort(free[0])
	if err != nil {
		return side{}, err
	}
	p, err := l.start(ctx, "caddy", append([]string{"PORT=" + port}, env...), filepath.Join(l.root, "testbed", "bench", "caddy", file))
	return side{process: p, address: free[0], status: http.StatusOK}, err
}

// count passes requests on to the issuer and counts those that introspect.
func count(issuer string) (address string, asked *atomic.Int64, end func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, nil, err
	}
	asked = new(atomic.Int64)
	target := &url.URL{Scheme: "http", Host: issuer}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		if r.In.URL.Path == "/oauth/introspect" {
			asked.Add(1)
		}
	}}
	server := &http.Server{Handler: proxy}
	go func() { _ = server.Serve(listener) }() // ends with Close
	return "http://" + listener.Addr().String(), asked, func() { _ = server.Close() }, nil
}
