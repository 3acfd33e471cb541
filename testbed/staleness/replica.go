package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// bound is the max_staleness of every gateway here: shorter than the default, so that a scenario does not take minutes.
const bound = time.Second

// replica is one gateway: the core that every binding calls, with a link of its own to the issuer.
type replica struct {
	name    string
	link    *link
	config  gateway.Config
	now     func() time.Time
	gateway atomic.Pointer[gateway.Gateway] // another one after a restart
}

func newReplica(i *issuer, name string, now func() time.Time) (*replica, error) {
	config, err := json.Marshal(map[string]any{
		"issuer": map[string]any{"issuer": "http://" + i.addr, "clientId": "gateway", "clientSecret": "gateway-demo-secret", "timeout": "2s"},
		"cache":  map[string]any{"maxStaleness": i.lab.staleness.String()},
		"routes": []any{map[string]any{"path": path, "audience": "eventcatalog", "scopes": map[string]any{"all": []string{"eventcatalog.read"}}}},
	})
	if err != nil {
		return nil, err
	}
	r := &replica{name: name, now: now, link: &link{base: &http.Transport{MaxIdleConnsPerHost: 16}}}
	if r.config, err = gateway.Parse(config); err != nil {
		return nil, err
	}
	return r, r.start()
}

const path = "/api/eventcatalog/events"

func (r *replica) start() error {
	g, err := gateway.New(r.config, gateway.Options{Logger: quiet(), Transport: r.link, Now: r.now})
	if err == nil {
		r.gateway.Store(g)
	}
	return err
}

// restart is a gateway that was replaced: it has nothing in its cache.
func (r *replica) restart() error {
	if err := r.gateway.Load().Close(); err != nil {
		return err
	}
	return r.start()
}

// ask sends one request with a reference, and gives the status: 200 when it would have been forwarded.
func (r *replica) ask(ctx context.Context, reference string) int {
	outcome := r.authorize(ctx, reference)
	if refusal := outcome.Refusal(); refusal != nil {
		return refusal.Status
	}
	return http.StatusOK
}

func (r *replica) authorize(ctx context.Context, reference string) gateway.Outcome {
	return r.gateway.Load().Authorize((&http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: path}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "api.example",
		Header: http.Header{"Authorization": {"Bearer " + reference}},
	}).WithContext(ctx))
}

// caches waits until the gateway answers for a reference from its cache: it hears the feed.
func (r *replica) caches(ctx context.Context, reference string) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(20 * time.Second); ; {
		if outcome := r.authorize(ctx, reference); outcome.Refusal() == nil && outcome.Cached {
			return nil
		}
		select {
		case <-tick.C:
		case <-limit:
			return fmt.Errorf("%s does not serve a living token from its cache (status %d)", r.name, r.ask(ctx, reference))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
