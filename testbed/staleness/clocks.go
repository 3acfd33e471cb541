package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// offset is how far one side's clock is off.
type offset struct {
	by       time.Duration
	atIssuer bool
}

// clock gives a clock that is off by as much as it is told, and who has it.
func (o offset) clock() (s setup, set func(time.Duration)) {
	var off atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(off.Load())) }
	s = setup{gateways: 1, gatewayClock: now}
	if o.atIssuer {
		s = setup{gateways: 1, issuerClock: now}
	}
	return s, func(by time.Duration) { off.Store(int64(by)) }
}

func (o offset) String() string {
	if o.atIssuer {
		return fmt.Sprint("the issuer's clock off by ", o.by)
	}
	return fmt.Sprint("the gateway's clock off by ", o.by)
}

// each runs what is done at one offset at all of them.
func each(run func(ctx context.Context, l *lab, o offset) (outcome, error), all ...offset) func(context.Context, *lab) (outcome, error) {
	return func(ctx context.Context, l *lab) (total outcome, err error) {
		for _, o := range all {
			more, err := run(ctx, l, o)
			if err != nil {
				return total, fmt.Errorf("%v: %w", o, err)
			}
			total.add(more)
		}
		return total, nil
	}
}

// borne are offsets at which the phantom tokens of the one are still good for the other: a gateway takes a token that was made up
// to ten seconds from now, and one that has not ended, which it does five minutes after it was made.
func borne() []offset {
	return []offset{{-8 * time.Second, false}, {4 * time.Minute, false}, {8 * time.Second, true}, {-4 * time.Minute, true}}
}

// clocksBorne revokes while one side's clock is off by what is borne: everything is as if it were right.
func clocksBorne(rounds int) func(context.Context, *lab) (outcome, error) {
	return each(func(ctx context.Context, l *lab, o offset) (total outcome, err error) {
		s, set := o.clock()
		set(o.by)
		f, err := l.setUp(ctx, s)
		if err != nil {
			return total, err
		}
		defer func() { err = errors.Join(err, f.close()) }()
		for range rounds {
			more, err := f.try(ctx, trial{settle: 20 * time.Millisecond})
			if err != nil {
				return total, err
			}
			total.add(more)
		}
		return total, nil
	}, borne()...)
}

// clocksWrong begins with one side's clock five minutes off, by which no phantom token is good: nothing passes, and nobody is told
// that the token is at fault.
func clocksWrong(rounds int, atIssuer bool) func(context.Context, *lab) (outcome, error) {
	return each(func(ctx context.Context, l *lab, o offset) (total outcome, err error) {
		s, set := o.clock()
		set(o.by)
		f, err := l.setUp(ctx, s)
		if err != nil {
			return total, err
		}
		defer func() { err = errors.Join(err, f.close()) }()
		for range rounds {
			more, err := f.blind(ctx)
			if err != nil {
				return total, err
			}
			total.add(more)
		}
		return total, nil
	}, offset{5 * time.Minute, atIssuer}, offset{-5 * time.Minute, atIssuer})
}

// blind asks before and after a revocation where nothing is expected to pass.
func (f *field) blind(ctx context.Context) (o outcome, err error) {
	reference, err := f.issuer.token("batch")
	if err != nil {
		return o, err
	}
	switch status := f.replicas[0].ask(ctx, reference); status {
	case http.StatusBadGateway:
	case http.StatusUnauthorized:
		o.falseRefusals++
	default:
		return o, fmt.Errorf("a token that the gateway cannot judge was answered %d; docs/revocation.md says 502", status)
	}
	if _, err := f.issuer.revokeToken(reference); err != nil {
		return o, err
	}
	if status := f.replicas[0].ask(ctx, reference); status == http.StatusOK {
		o.falsePasses++
	}
	return o, nil
}

// clocksStep sets one side's clock five minutes on, or back, while tokens are cached, and then revokes one. What is cached goes on
// passing, unless it has ended by the gateway's clock, and what is revoked is refused as soon as ever. It takes a gateway of its
// own each time: the clock that is injected takes its monotonic reading along, which that of a machine does not.
func clocksStep(rounds int, atIssuer bool) func(context.Context, *lab) (outcome, error) {
	return each(func(ctx context.Context, l *lab, o offset) (total outcome, err error) {
		for range rounds {
			more, err := l.step(ctx, o)
			if err != nil {
				return total, err
			}
			total.add(more)
		}
		return total, nil
	}, offset{5 * time.Minute, atIssuer}, offset{-5 * time.Minute, atIssuer})
}

func (l *lab) step(ctx context.Context, o offset) (seen outcome, err error) {
	s, set := o.clock()
	// A gateway that asks the issuer whose clock is off gets what it may not believe yet: between two answers of the feed it has to
	// stay fresh, also on a slow machine.
	patient := *l
	patient.staleness = 5 * time.Second
	f, err := patient.setUp(ctx, s)
	if err != nil {
		return seen, err
	}
	defer func() { err = errors.Join(err, f.close()) }()
	passes := o.atIssuer || o.by < 0 // of what is cached, by a gateway's clock that is behind, nothing has ended
	return f.try(ctx, trial{
		before: func() error {
			set(o.by)
			if status := f.replicas[0].ask(ctx, f.living); passes && status != http.StatusOK {
				return fmt.Errorf("a cached token was answered %d", status)
			}
			return nil
		},
		settle: 20 * time.Millisecond,
		within: patient.staleness,
	})
}
