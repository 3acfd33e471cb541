package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"
)

// field is an issuer with some gateways before it.
type field struct {
	issuer   *issuer
	replicas []*replica
	living   string // a reference that is never revoked
	every    time.Duration
}

// setup is what a field is made of.
type setup struct {
	gateways     int
	straight     bool             // without proxies, whose cost would be in the figures: no connection can be broken
	issuer       string           // more lines for the issuer's file
	issuerClock  func() time.Time // nil: the machine's
	gatewayClock func() time.Time // nil: the machine's
	// gateway makes one; nil: the core in this process.
	gateway func(ctx context.Context, i *issuer, name string) (*replica, error)
}

// setUp starts an issuer and gateways that hear its feed.
func (l *lab) setUp(ctx context.Context, s setup) (*field, error) {
	if s.gatewayClock == nil {
		s.gatewayClock = time.Now
	}
	if s.gateway == nil {
		s.gateway = func(ctx context.Context, i *issuer, name string) (*replica, error) {
			return newCore(ctx, i, name, s)
		}
	}
	i, err := l.start(ctx, s.issuer, s.issuerClock)
	if err != nil {
		return nil, err
	}
	f := &field{issuer: i, every: time.Millisecond}
	if s.gateways > 10 { // so many that asking all of them so often would be what is measured
		f.every = 5 * time.Millisecond
	}
	if f.living, err = i.token("batch"); err != nil {
		return nil, errors.Join(err, f.close())
	}
	for k := range s.gateways {
		r, err := s.gateway(ctx, i, fmt.Sprint("gateway ", k+1))
		if err != nil {
			return nil, errors.Join(err, f.close())
		}
		f.replicas = append(f.replicas, r)
	}
	return f, nil
}

func (f *field) close() error {
	var errs []error
	for _, r := range f.replicas {
		errs = append(errs, r.host.stop(), r.link.close())
	}
	return errors.Join(append(errs, f.issuer.close())...)
}

// ready waits until every gateway serves this reference, and the living one, from its cache. The first one, which something is
// about to happen to, is the last to be asked: it has just heard the feed then.
func (f *field) ready(ctx context.Context, reference string) error {
	var errs []error
	for _, r := range slices.Backward(f.replicas) {
		errs = append(errs, r.caches(ctx, reference), r.caches(ctx, f.living))
	}
	return errors.Join(errs...)
}

// sample is one request.
type sample struct {
	began  time.Time
	status int
}

// watch asks every gateway about a reference, over and over, until stop is closed: and for the living one along with it.
// An empty living one is not asked for.
func (f *field) watch(ctx context.Context, reference, alive string, stop <-chan struct{}) (revoked, living [][]sample) {
	revoked, living = make([][]sample, len(f.replicas)), make([][]sample, len(f.replicas))
	var running sync.WaitGroup
	for k, r := range f.replicas {
		running.Go(func() {
			tick := time.NewTicker(f.every)
			defer tick.Stop()
			for n := 0; ; n++ {
				began := time.Now()
				revoked[k] = append(revoked[k], sample{began, r.ask(ctx, reference)})
				if n%10 == 0 && alive != "" {
					living[k] = append(living[k], sample{began, r.ask(ctx, alive)})
				}
				select {
				case <-tick.C:
				case <-stop:
					return
				}
			}
		})
	}
	running.Wait()
	return revoked, living
}

// outcome is what was seen.
type outcome struct {
	staleness     []time.Duration // of each gateway and revocation: how long after the answer the last request that passed began
	victims       []time.Duration // the same of the gateways that something happened to
	falsePasses   int             // requests that passed and began later than the bound
	falseRefusals int             // 401 for a living token
	unavailable   int             // requests for a living token that were answered 5xx
	lost          int             // answered revocations that did not hold
	latency       []time.Duration // of good requests beside a flood
	calm          []time.Duration // and without one
}

func (o *outcome) add(more outcome) {
	o.staleness = append(o.staleness, more.staleness...)
	o.victims = append(o.victims, more.victims...)
	o.falsePasses += more.falsePasses
	o.falseRefusals += more.falseRefusals
	o.unavailable += more.unavailable
	o.lost += more.lost
}

func (o outcome) String() string {
	if len(o.staleness) == 0 {
		return fmt.Sprintf("false passes %d, false refusals %d", o.falsePasses, o.falseRefusals)
	}
	return fmt.Sprintf("refused after p50 %.1f ms, p99 %.1f ms, at most %.1f ms; false passes %d, false refusals %d, unavailable %d",
		millis(quantile(o.staleness, 0.5)), millis(quantile(o.staleness, 0.99)), millis(quantile(o.staleness, 1)), o.falsePasses, o.falseRefusals, o.unavailable)
}

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// quantile is the least of the values that this part of them, or more, does not exceed.
func quantile(values []time.Duration, q float64) time.Duration {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// trial is one revocation under watch.
type trial struct {
	// victim is started anew before anything is cached; nil: nobody is. What befell its link the last time would befall it still:
	// a poll that waited is sent again when the link is whole, and its answer makes the gateway fresh from long ago only.
	victim  *replica
	before  func() error                              // right before the revocation is asked for, with everything cached
	revoke  func(reference string) (time.Time, error) // nil: of the token
	endsAll bool                                      // it ends every token
	within  time.Duration                             // it must be refused so soon; 0: within the bound
	during  func() error                              // while every gateway is watched, after the revocation was answered
	settle  time.Duration                             // how long after the answer is watched at least, before it is healed
	healed  func() error                              // what was broken is whole again; nil: nothing was
}

// try carries a trial out: a token that every gateway has cached is revoked, and all are watched until all refuse it.
func (f *field) try(ctx context.Context, t trial) (o outcome, err error) {
	reference, err := f.issuer.token("batch")
	if err != nil {
		return o, err
	}
	if t.victim != nil {
		if err := t.victim.restart(ctx); err != nil {
			return o, err
		}
	}
	if err := f.ready(ctx, reference); err != nil {
		return o, err
	}
	alive := f.living
	if t.endsAll {
		alive = ""
	}
	stop := make(chan struct{})
	var revoked, living [][]sample
	watching := make(chan struct{})
	go func() {
		defer close(watching)
		revoked, living = f.watch(ctx, reference, alive, stop)
	}()
	answered, err := f.disturb(ctx, t, reference)
	if err == nil {
		err = f.refused(ctx, reference)
	}
	close(stop)
	<-watching
	if err != nil {
		return o, err
	}
	o.judge(revoked, living, answered, cmp.Or(t.within, bound))
	if t.victim != nil {
		o.victims = append(o.victims, o.staleness[slices.Index(f.replicas, t.victim)])
	}
	active, err := f.issuer.active(reference)
	if active {
		o.lost++
	}
	return o, err
}

// disturb does what the trial does, and gives the moment at which the revocation was answered.
func (f *field) disturb(ctx context.Context, t trial, reference string) (answered time.Time, err error) {
	if t.before != nil {
		if err := t.before(); err != nil {
			return answered, err
		}
	}
	revoke := f.issuer.revokeToken
	if t.revoke != nil {
		revoke = t.revoke
	}
	if answered, err = revoke(reference); err != nil {
		return answered, err
	}
	if t.during != nil {
		if err := t.during(); err != nil {
			return answered, err
		}
	}
	if t.settle > 0 {
		select {
		case <-time.After(time.Until(answered.Add(t.settle))):
		case <-ctx.Done():
		}
	}
	if t.healed != nil {
		err = t.healed()
	}
	return answered, err
}

// patience bounds every wait for what is promised.
const patience = 30 * time.Second

// refused waits until every gateway answers 401.
func (f *field) refused(ctx context.Context, reference string) error {
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	limit := time.After(patience)
	for _, r := range f.replicas {
		for r.ask(ctx, reference) != http.StatusUnauthorized {
			select {
			case <-tick.C:
			case <-limit:
				return fmt.Errorf("%s never refused a revoked token: it answers %d", r.name, r.ask(ctx, reference))
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	return nil
}

// judge reads what was watched.
func (o *outcome) judge(revoked, living [][]sample, answered time.Time, within time.Duration) {
	for k := range revoked {
		last := time.Duration(0)
		for _, s := range revoked[k] {
			after := s.began.Sub(answered)
			if s.status != http.StatusOK {
				continue
			}
			last = max(last, after)
			if after > within {
				o.falsePasses++
			}
		}
		o.staleness = append(o.staleness, last)
		for _, s := range living[k] {
			switch {
			case s.status == http.StatusUnauthorized:
				o.falseRefusals++
			case s.status >= 500:
				o.unavailable++
			}
		}
	}
}
