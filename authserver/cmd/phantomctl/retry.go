package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// How long is waited, in all, for an issuer that does not answer one request: a person's, or one of a long run, which
// outlives a restart of the issuer.
const (
	brief = 15 * time.Second
	long  = 3 * time.Minute
)

// How long is waited before it is asked again: from shortest, each time twice as long, unless the issuer says how long.
const (
	shortestPause = 500 * time.Millisecond
	longestPause  = 30 * time.Second
)

// retry does something again when no answer came, or one that says to try again, until it has waited for as long as it may.
func (c *client) retry(ctx context.Context, most time.Duration, do func() error) error {
	var waited time.Duration
	for next := shortestPause; ; next = min(2*next, longestPause) {
		err := do()
		if err == nil || !passing(err) || ctx.Err() != nil {
			return err
		}
		wait := next
		var refused *refusal
		if errors.As(err, &refused) && refused.retryAfter > 0 {
			wait = min(refused.retryAfter, longestPause)
		}
		if waited += wait; waited > most {
			return fmt.Errorf("%w; given up after %s", err, (waited - wait).Round(time.Second))
		}
		c.tell("%s; trying again in %s", mask(err.Error()), wait)
		if c.pause(ctx, wait) != nil {
			return err
		}
	}
}

// passing tells whether it may go better the next time.
func passing(err error) bool {
	var refused *refusal
	if errors.As(err, &refused) {
		switch refused.status {
		case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
			return true
		}
		return false
	}
	var none unanswered
	return errors.As(err, &none)
}
