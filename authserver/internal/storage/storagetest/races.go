package storagetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/internal/storage"
)

const racers = 8

// race runs all racers at once and gives their errors.
func race(run func(racer int) error) []error {
	errs := make([]error, racers)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for i := range racers {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			errs[i] = run(i)
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	return errs
}

// oneWon fails unless exactly one had no error and all others had want.
func oneWon(t *testing.T, errs []error, want error) {
	t.Helper()
	winners := 0
	for _, err := range errs {
		switch {
		case err == nil:
			winners++
		case !errors.Is(err, want):
			t.Errorf("a loser's error is %v, want %v", err, want)
		}
	}
	if winners != 1 {
		t.Fatalf("%d of %d racers won, want exactly one", winners, len(errs))
	}
}

// rounds is how often each race is run.
const rounds = 25

func testRaces(t *testing.T, open func(*testing.T) Store) {
	t.Run("a code", func(t *testing.T) { raceForCode(t, open) })
	t.Run("a refresh reference", func(t *testing.T) { raceForRefresh(t, open) })
	t.Run("a signing key", func(t *testing.T) { raceForSigningKey(t, open) })
	t.Run("an account", func(t *testing.T) { raceForAccount(t, open) })
	t.Run("revocations have a sequence without holes", func(t *testing.T) { raceOfRevocations(t, open) })
	t.Run("a revocation against a redemption", func(t *testing.T) { raceOfRevocationAndRedemption(t, open) })
}

func raceForCode(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	for round := range rounds {
		g, c := userGrant(fmt.Sprintf("g%d", round), storage.Births{})
		must(t, s.CreateGrantWithCode(t.Context(), g, c, nil))
		oneWon(t, race(func(i int) error {
			r := refresh(g.ID, fmt.Sprintf("%d-%d", round, i))
			return s.RedeemCode(t.Context(), tenant, c.Hash, start, access(g.ID, fmt.Sprintf("%d-%d", round, i)), &r)
		}), storage.ErrConsumed)
	}
}

func raceForRefresh(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	for round := range rounds {
		g, _, r := begin(t, s, fmt.Sprintf("g%d", round), storage.Births{})
		oneWon(t, race(func(i int) error {
			name := fmt.Sprintf("%d-%d", round, i)
			return s.RotateRefresh(t.Context(), tenant, r.Hash, start, []byte(name), access(g.ID, name), refresh(g.ID, name))
		}), storage.ErrConsumed)
	}
}

func raceForSigningKey(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	must(t, s.AddSigningKey(t.Context(), storage.SigningKey{Tenant: tenant, ID: "k", CreatedAt: start, ActiveAt: start}, "", start))
	oneWon(t, race(func(i int) error {
		key := storage.SigningKey{Tenant: tenant, ID: fmt.Sprint(i), CreatedAt: start, ActiveAt: start}
		return s.AddSigningKey(t.Context(), key, "k", start)
	}), storage.ErrConsumed)
}

func raceForAccount(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	subjects := make([]string, racers)
	for _, err := range race(func(i int) error {
		account, err := s.EnsureAccount(t.Context(), tenant, "alice", fmt.Sprintf("u_%d", i))
		subjects[i] = account.Subject
		return err
	}) {
		must(t, err)
	}
	for _, subject := range subjects {
		if subject != subjects[0] {
			t.Fatalf("one login got several subs: %v", subjects)
		}
	}
}

func raceOfRevocations(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	sequences := make([]int64, racers)
	for _, err := range race(func(i int) error {
		done, err := s.Revoke(t.Context(), revocation(storage.KindUser, user))
		sequences[i] = done.Sequence
		if done.Generation != done.Sequence {
			t.Errorf("generation %d at sequence %d", done.Generation, done.Sequence)
		}
		return err
	}) {
		must(t, err)
	}
	seen := map[int64]bool{}
	for _, n := range sequences {
		if n < 1 || n > racers || seen[n] {
			t.Fatalf("the sequences are %v", sequences)
		}
		seen[n] = true
	}
}

func raceOfRevocationAndRedemption(t *testing.T, open func(*testing.T) Store) {
	s := open(t)
	for round := range rounds {
		births, err := s.Generations(t.Context(), tenant, client, user)
		must(t, err)
		g, c := userGrant(fmt.Sprintf("g%d", round), births)
		must(t, s.CreateGrantWithCode(t.Context(), g, c, nil))
		a := access(g.ID, g.ID)
		for i, err := range race(func(i int) error {
			if i == 0 {
				_, err := s.Revoke(t.Context(), revocation(storage.KindUser, user))
				return err
			}
			return s.RedeemCode(t.Context(), tenant, c.Hash, start, a, nil)
		}) {
			if i == 0 {
				must(t, err)
			}
		}
		found, err := s.FindAccess(t.Context(), tenant, a.Hash) // whoever came first, nothing is alive afterwards
		if err == nil && found.Alive {
			t.Fatal("a token is alive after its user was revoked")
		}
	}
}
