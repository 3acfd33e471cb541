package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc32"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"
)

// restored kills the issuer, puts a backup in the place of its database, which knows nothing of the revocation, tells it so as
// docs/operating.md says (or does not, which is a control), and starts it again. Gateways have cached what the backup calls alive.
func restored(told bool) func(context.Context, *lab) (outcome, error) {
	return repeat(1, func(f *field, _ *replica) trial {
		i := f.issuer
		return trial{
			endsAll: true,
			before:  func() error { return errors.Join(i.kill(), i.backUp(), i.start(context.Background())) },
			during: func() error {
				err := errors.Join(i.kill(), i.restore(told))
				return errors.Join(err, i.start(context.Background()))
			},
			settle: bound + bound/2,
			healed: func() error {
				if !told {
					return nil
				}
				// What nobody revoked ends as well, since the backup could not tell.
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				err := f.refused(ctx, f.living)
				f.living = ""
				return err
			},
		}
	})
}

// farBehind has a gateway miss so many revocations that it is told to forget everything.
func farBehind(n int) func(context.Context, *lab) (outcome, error) {
	return repeat(1, func(f *field, victim *replica) trial {
		return trial{
			before: victim.link.cut,
			during: func() error { return f.revokeMany(n) },
			settle: bound,
			healed: victim.link.mend,
		}
	})
}

// revokeMany revokes what no token of these gateways hangs on, n times.
func (f *field) revokeMany(n int) error {
	if _, err := f.issuer.revoke(`{"client":"gateway"}`); err != nil { // with the operator's token at hand from here on
		return err
	}
	const writers = 32
	var running sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		running.Go(func() {
			for i := w; i < n && errs[w] == nil; i += writers {
				_, errs[w] = f.issuer.revoke(`{"client":"gateway"}`)
			}
		})
	}
	running.Wait()
	return errors.Join(errs...)
}

// flood sends made-up references, well formed, and looks at what becomes of good requests meanwhile, and of a revocation.
func flood(lasts time.Duration) func(context.Context, *lab) (outcome, error) {
	return func(ctx context.Context, l *lab) (o outcome, err error) {
		f, err := l.setUp(ctx, setup{gateways: 1})
		if err != nil {
			return o, err
		}
		defer func() { err = errors.Join(err, f.close()) }()
		if err := f.ready(ctx, f.living); err != nil {
			return o, err
		}
		if o.calm, err = f.good(ctx, lasts/2); err != nil {
			return o, err
		}
		flooding, end := context.WithCancel(ctx)
		var running sync.WaitGroup
		for range 8 {
			running.Go(func() {
				for flooding.Err() == nil {
					f.replicas[0].ask(flooding, madeUp())
				}
			})
		}
		o.latency, err = f.good(ctx, lasts)
		if err == nil {
			var more outcome
			more, err = f.try(ctx, trial{settle: 100 * time.Millisecond})
			o.add(more)
		}
		end()
		running.Wait()
		return o, err
	}
}

// good sends a good request every millisecond, and gives how long each took.
func (f *field) good(ctx context.Context, lasts time.Duration) (took []time.Duration, err error) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.After(lasts); ; {
		began := time.Now()
		if status := f.replicas[0].ask(ctx, f.living); status != http.StatusOK {
			return nil, fmt.Errorf("a good request was answered %d", status)
		}
		took = append(took, time.Since(began))
		select {
		case <-tick.C:
		case <-end:
			return took, nil
		}
	}
}

// madeUp is a reference of the right form that nobody was given.
func madeUp() string {
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	digits := func(n *big.Int, length int) string {
		text := n.Text(62)
		return strings.Repeat("0", length-len(text)) + text
	}
	body := "pgat_" + digits(new(big.Int).SetBytes(secret[:]), 43)
	return body + digits(big.NewInt(int64(crc32.ChecksumIEEE([]byte(body)))), 6)
}
