package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// bound is the max_staleness of every gateway here, but where clocks step: shorter than the default, so that a scenario does not
// take minutes.
const bound = time.Second

// replica is one gateway with a link of its own to the issuer.
type replica struct {
	name string
	link *link
	host host
}

// host is what runs the gateway.
type host interface {
	// ask sends one request with a reference, and gives the status: 200 when it was, or would have been, forwarded. cached: the
	// issuer was not asked.
	ask(ctx context.Context, reference string) (status int, cached bool)
	// start and stop are of one that is replaced: what was cached is gone.
	start(ctx context.Context) error
	stop() error
}

// ask gives the status of one request.
func (r *replica) ask(ctx context.Context, reference string) int {
	status, _ := r.host.ask(ctx, reference)
	return status
}

func (r *replica) restart(ctx context.Context) error {
	if err := r.host.stop(); err != nil {
		return err
	}
	return r.host.start(ctx)
}

// caches waits until the gateway answers for a reference from its cache: it hears the feed.
func (r *replica) caches(ctx context.Context, reference string) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(20 * time.Second); ; {
		status, cached := r.host.ask(ctx, reference)
		if status == http.StatusOK && cached {
			return nil
		}
		select {
		case <-tick.C:
		case <-limit:
			return fmt.Errorf("%s does not serve a living token from its cache (status %d)", r.name, status)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// core is the gateway's core in this process, which every binding calls.
type core struct {
	link    *link
	config  gateway.Config
	now     func() time.Time
	gateway atomic.Pointer[gateway.Gateway] // another one after a restart
}

func newCore(ctx context.Context, i *issuer, name string, s setup) (*replica, error) {
	config, err := json.Marshal(map[string]any{
		"issuer": map[string]any{"issuer": "http://" + i.addr, "clientId": "gateway", "clientSecret": "gateway-demo-secret", "timeout": "2s"},
		"cache":  map[string]any{"maxStaleness": i.lab.staleness.String()},
		"routes": []any{map[string]any{"path": path, "audience": "eventcatalog", "scopes": map[string]any{"all": []string{"eventcatalog.read"}}}},
	})
	if err != nil {
		return nil, err
	}
	c := &core{now: s.gatewayClock}
	if c.config, err = gateway.Parse(config); err != nil {
		return nil, err
	}
	if s.straight {
		c.link = newStraightLink()
	} else if c.link, err = newLink(i); err != nil {
		return nil, err
	}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.link.close())
	}
	return &replica{name, c.link, c}, nil
}

const path = "/api/eventcatalog/events"

func (c *core) start(context.Context) error {
	g, err := gateway.New(c.config, gateway.Options{Logger: quiet(), Transport: c.link, Now: c.now})
	if err == nil {
		c.gateway.Store(g)
	}
	return err
}

func (c *core) stop() error {
	if g := c.gateway.Load(); g != nil {
		return g.Close()
	}
	return nil
}

func (c *core) ask(ctx context.Context, reference string) (status int, cached bool) {
	outcome := c.gateway.Load().Authorize((&http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: path}, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "api.example",
		Header: http.Header{"Authorization": {"Bearer " + reference}},
	}).WithContext(ctx))
	if refusal := outcome.Refusal(); refusal != nil {
		return refusal.Status, outcome.Cached
	}
	return http.StatusOK, outcome.Cached
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
