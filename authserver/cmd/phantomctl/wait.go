package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// applied says when a gateway had applied a revocation.
type applied struct {
	Gateway string    `json:"gateway"`
	Client  string    `json:"client"`
	Stream  string    `json:"stream"`
	At      time.Time `json:"at"`
	Millis  int64     `json:"ms"`
}

// lookEvery is how often the issuer is asked what gateways have told it.
const lookEvery = 100 * time.Millisecond

// showApplied waits for the gateways, tells when each of them had applied the revocation, and fails if one has not.
func (p program) showApplied(ctx context.Context, api *client, done revocation, timeout time.Duration) error {
	var missing []gateway
	err := func() error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		for {
			behind, err := api.behind(ctx, &done)
			if err != nil {
				return err
			}
			if missing = behind; len(missing) == 0 {
				return nil
			}
			if err := p.pause(ctx, lookEvery); err != nil {
				return err
			}
		}
	}()
	t := newTable(p.out, "GATEWAY", "CLIENT", "APPLIED", "MS")
	for _, a := range done.Applied {
		t.row(a.Gateway, a.Client, a.At, a.Millis)
	}
	if len(done.Applied) > 0 {
		if err := t.flush(); err != nil {
			return err
		}
	}
	switch {
	case len(missing) > 0:
		return late(missing, timeout)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("it is revoked; which gateways have applied it was not told within %s: "+
			"look at phantomctl gateways, where each position must reach %d", timeout, done.Sequence)
	case err != nil:
		return fmt.Errorf("it is revoked; which gateways have applied it could not be found out: %w", err)
	case len(done.Applied) == 0:
		fmt.Fprintln(p.err, "no gateway hears the feed: it holds at the issuer now, and at a gateway when what that has cached is too old")
	}
	return nil
}

// behind looks once: it gives the gateways that were there when it was revoked and have not applied it, and updates done.
//
// The list comes first, so that whoever applies it in between is not missed. A gateway whose position is not behind, and who
// is not among those that applied it, began after it: what that has cached is newer.
func (c *client) behind(ctx context.Context, done *revocation) ([]gateway, error) {
	var list gatewayList
	if err := c.ask(ctx, question{method: http.MethodGet, path: "/admin/v1/gateways"}, &list); err != nil {
		return nil, err
	}
	var now revocation
	if err := c.ask(ctx, question{method: http.MethodGet, path: "/admin/v1/revocations/" + url.PathEscape(done.ID)}, &now); err != nil {
		return nil, err
	}
	*done = now
	return slices.DeleteFunc(list.Gateways, func(g gateway) bool {
		return g.Position >= done.Sequence || slices.ContainsFunc(done.Applied, func(a applied) bool { return a.Stream == g.Stream })
	}), nil
}

func late(missing []gateway, timeout time.Duration) error {
	names := make([]string, len(missing))
	for i, g := range missing {
		names[i] = fmt.Sprintf("%s (last heard of %s)", clean(g.Gateway), shown(g.LastContact))
	}
	return fmt.Errorf("it is revoked, but not applied within %s by %s; "+
		"a gateway that does not hear the feed asks the issuer about each request once its max_staleness has passed",
		timeout, strings.Join(names, ", "))
}
