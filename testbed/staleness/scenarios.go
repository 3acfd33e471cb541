package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/phantomgate/phantomgate/testbed/figures"
)

// scenario is one thing that happens, and what is promised all the same.
type scenario struct {
	name, about string
	run         func(ctx context.Context, l *lab) (outcome, error)
	soon        bool // how soon is a figure with a goal: nothing delays the feed
	always      bool // no good request may fail
	// served: the one that it happens to, which hears nothing, goes on from its cache for so long, or else little was tried.
	served time.Duration
}

// figures are those of a scenario.
func (s scenario) figures(o outcome) []figures.Figure {
	var all []figures.Figure
	staleness := func(name string, q float64, goal float64) figures.Figure {
		value := figures.Spread{Median: millis(quantile(o.staleness, q))}
		about := fmt.Sprintf("from a revocation's answer until the last request that passed began: %s", s.about)
		if goal > 0 {
			return figures.AtMost(goal, s.name+"_"+name, "ms", value, about)
		}
		return figures.Informative(s.name+"_"+name, "ms", value, about)
	}
	if len(o.staleness) > 0 {
		p99, most := 0.0, millis(bound)
		if s.soon {
			p99 = 50
		}
		all = append(all, staleness("p50", 0.5, 0), staleness("p99", 0.99, p99), staleness("max", 1, most))
	}
	if s.served > 0 {
		all = append(all, figures.AtLeast(millis(s.served), s.name+"_served_p50", "ms", figures.Spread{Median: millis(quantile(o.victims, 0.5))},
			"how long the gateway which it happens to went on from its cache"))
	}
	if len(o.latency) > 0 {
		all = append(all, figures.Informative(s.name+"_good_p99", "ms", figures.Spread{Median: millis(quantile(o.latency, 0.99))},
			fmt.Sprintf("a good request beside the flood; without it %.2f ms", millis(quantile(o.calm, 0.99)))))
	}
	if s.always {
		all = append(all, figures.AtMost(0, s.name+"_unavailable", "requests", one(o.unavailable), "good ones that were answered 5xx"))
	}
	return append(all, figures.AtMost(0, s.name+"_false_passes", "requests", one(o.falsePasses), "that began later than the bound"))
}

func scenarios(s settings) []scenario {
	var all []scenario
	for _, n := range s.replicas {
		rounds := max(s.rounds/10, s.rounds/n)
		all = append(all,
			scenario{name: fmt.Sprint("healthy_", n), about: fmt.Sprintf("%d gateways, nothing wrong", n), run: healthy(n, rounds, 0), soon: true},
			scenario{name: fmt.Sprint("lossy_", n), about: fmt.Sprintf("%d gateways, one answer in a hundred is lost", n), run: healthy(n, rounds, 0.01)})
	}
	return append(all,
		scenario{name: "cut_off", about: "the gateway is cut off from the issuer", run: repeat(s.faults, breaks((*link).cut)), served: bound / 2},
		scenario{name: "refused", about: "the gateway's connections to the issuer break, and new ones are refused", run: repeat(s.faults, breaks((*link).refuse)), served: bound / 2},
		scenario{name: "deaf", about: "the feed alone is cut off", run: repeat(s.faults, breaks(deaf)), served: bound / 2},
		scenario{name: "slow_feed", about: fmt.Sprintf("the feed's answers come %v late", late), run: repeat(s.faults, breaks(slowFeed)), served: late / 2},
		scenario{name: "events_lost", about: "half of the events are taken out of the answers", run: repeat(s.faults, tampering(losing))},
		scenario{name: "events_doubled", about: "events come again and again", run: repeat(s.faults, tampering(doubling))},
		scenario{name: "events_reordered", about: "events come one answer late", run: repeat(s.faults, tampering(reordering))},
		scenario{name: "issuer_killed", about: "the issuer is killed when it has answered, and started again", run: repeat(s.faults, issuerKilled)},
		scenario{name: "gateway_restarted", about: "the gateway is restarted after the answer", run: repeat(s.faults, gatewayRestarted)},
		scenario{name: "clock_borne", about: "one side's clock is off by what is borne", run: clocksBorne(s.rounds/20 + 1), always: true},
		scenario{name: "gateway_clock_step", about: "the gateway's clock is set five minutes on or back", run: clocksStep(s.faults/4+1, false)},
		scenario{name: "issuer_clock_step", about: "the issuer's clock is set five minutes on or back", run: clocksStep(s.faults/4+1, true), always: true},
		scenario{name: "gateway_clock", about: "the gateway's clock is five minutes off from the beginning, either way", run: clocksWrong(s.rounds/10+1, false)},
		scenario{name: "issuer_clock", about: "the issuer's clock is five minutes off from the beginning, either way", run: clocksWrong(s.rounds/10+1, true)},
		scenario{name: "key_rotation", about: "the signing keys rotate under load", run: keyRotation(s.keys, faults{}), always: true},
		scenario{name: "everything", about: "everything is revoked", run: repeat(s.faults, everything)},
		scenario{name: "far_behind", about: fmt.Sprintf("the gateway has missed %d revocations", s.behind), run: farBehind(s.behind)},
		scenario{name: "restored", about: "the issuer's database is replaced by a backup that does not know the revocation", run: restored(true)},
		scenario{name: "caddy", about: "two Caddys, processes of their own, nothing wrong", run: throughCaddy(max(5, s.rounds/2), well), soon: true},
		scenario{name: "caddy_cut_off", about: "a Caddy is cut off from the issuer", run: throughCaddy(s.faults/3+1, breaks((*link).cut)), served: bound / 2},
		scenario{name: "caddy_stopped", about: "a Caddy stands still (SIGSTOP) until the bound is over", run: throughCaddy(s.faults/3+1, stopped)},
		scenario{name: "caddy_killed", about: "a Caddy is killed after the answer, and started again", run: throughCaddy(s.faults/3+1, gatewayRestarted)},
		scenario{name: "flood", about: "made-up references come as fast as they can", run: flood(s.flood)},
	)
}

// healthy revokes one token after the other before n gateways.
func healthy(n, rounds int, lost float64) func(context.Context, *lab) (outcome, error) {
	return func(ctx context.Context, l *lab) (o outcome, err error) {
		f, err := l.setUp(ctx, setup{gateways: n, straight: true})
		if err != nil {
			return o, err
		}
		defer func() { err = errors.Join(err, f.close()) }()
		for _, r := range f.replicas {
			r.link.set(faults{lost: lost})
		}
		for range rounds {
			more, err := f.try(ctx, trial{settle: 20 * time.Millisecond})
			if err != nil {
				return o, err
			}
			o.add(more)
		}
		return o, nil
	}
}

// repeat runs a trial before two gateways, of which something happens to the first.
func repeat(rounds int, make func(f *field, victim *replica) trial) func(context.Context, *lab) (outcome, error) {
	return repeatBefore(rounds, setup{gateways: 2}, make)
}

func repeatBefore(rounds int, s setup, make func(f *field, victim *replica) trial) func(context.Context, *lab) (outcome, error) {
	return func(ctx context.Context, l *lab) (o outcome, err error) {
		f, err := l.setUp(ctx, s)
		if err != nil {
			return o, err
		}
		defer func() { err = errors.Join(err, f.close()) }()
		for range rounds {
			more, err := f.try(ctx, make(f, f.replicas[0]))
			if err != nil {
				return o, err
			}
			o.add(more)
		}
		return o, nil
	}
}

// breaks makes a trial during which something goes wrong on the victim's link, which is whole again when the bound is well over.
func breaks(how func(*link) error) func(*field, *replica) trial {
	return func(_ *field, victim *replica) trial {
		return trial{
			victim: victim,
			before: func() error { return how(victim.link) },
			settle: bound + bound/2,
			healed: victim.link.mend,
		}
	}
}

func deaf(l *link) error { return l.feed.cut() }

const late = 300 * time.Millisecond

func slowFeed(l *link) error { return l.feed.delay(late) }

func tampering(how func() func(*pollAnswer)) func(*field, *replica) trial {
	return breaks(func(l *link) error {
		l.set(faults{tamper: how()})
		return nil
	})
}

// issuerKilled also asks the issuer itself afterwards: what it had answered, it must know.
func issuerKilled(f *field, _ *replica) trial {
	return trial{
		revoke: func(reference string) (time.Time, error) {
			answered, err := f.issuer.revokeToken(reference)
			return answered, errors.Join(err, f.issuer.kill())
		},
		settle: bound + bound/2,
		healed: func() error { return f.issuer.start(context.Background()) },
	}
}

func gatewayRestarted(_ *field, victim *replica) trial {
	return trial{during: func() error { return victim.restart(context.Background()) }, settle: bound}
}

func everything(f *field, _ *replica) trial {
	return trial{
		endsAll: true,
		revoke:  func(string) (time.Time, error) { return f.issuer.revoke(`{"everything":true}`) },
		healed: func() (err error) {
			f.living, err = f.issuer.token("batch")
			return err
		},
	}
}
