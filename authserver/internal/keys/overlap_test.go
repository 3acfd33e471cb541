package keys

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"pgregory.net/rapid"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
)

// living is a JWT that a client may still show, by the kid it was signed with.
type living struct {
	kid     string
	expires time.Time
}

// cached is a JWKS as some verifier fetched it, by its kids. A kid is the key's thumbprint, and that a JWT verifies with
// the key of its kid is tested elsewhere: so here kids say it all, and many more walks fit into the time.
type cached struct {
	kids    map[string]bool
	fetched time.Time
}

// overlapRun is two nodes on one table, and the JWTs and JWKS that are out there.
type overlapRun struct {
	clock  *clock
	store  *table
	nodes  [2]*Ring
	life   time.Duration
	tokens []living
	sets   []cached
	spoil  func(*Ring) // the control's fault
}

func (w *overlapRun) open(node int, algorithm string) error {
	r, err := Open(context.Background(), w.store, dataKey, Options{Tenant: "default", Algorithm: algorithm,
		RotateEvery: 10 * time.Minute, PublishFor: 3 * time.Minute, Overlap: w.life, Now: w.clock.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if w.spoil != nil {
		w.spoil(r)
	}
	w.nodes[node] = r
	return nil
}

// step does one thing, and then checks every living JWT against every JWKS that may still be cached.
func (w *overlapRun) step(choose func(n int) int) error {
	node := choose(2)
	switch choose(8) {
	case 0: // a node starts anew, perhaps with another algorithm
		if err := w.open(node, []string{config.ES256, config.EdDSA}[choose(2)]); err != nil {
			return err
		}
	case 1:
		if err := w.nodes[node].Rotate(context.Background()); err != nil {
			return err
		}
	case 2, 3, 4: // time passes; each node reads the table in that time
		w.clock.now = w.clock.now.Add(time.Duration(1+choose(int(w.nodes[0].every/time.Second))) * time.Second)
		for _, r := range w.nodes {
			if err := r.tick(context.Background()); err != nil {
				return err
			}
		}
	case 5:
		return w.fetch(node)
	default: // what Sign signs with
		kid := w.nodes[node].current.Load().active(w.clock.now).id
		w.tokens = append(w.tokens, living{kid, w.clock.now.Add(w.life)})
	}
	return w.check()
}

func (w *overlapRun) fetch(node int) error {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(w.nodes[node].JWKS(), &set); err != nil {
		return err
	}
	kids := map[string]bool{}
	for _, k := range set.Keys {
		kids[k.KeyID] = true
	}
	w.sets = append(w.sets, cached{kids, w.clock.now})
	return w.check()
}

func (w *overlapRun) check() error {
	now := w.clock.now
	for _, token := range w.tokens {
		for _, set := range w.sets {
			fresh := now.Sub(set.fetched) <= w.nodes[0].options.PublishFor
			if now.Before(token.expires) && fresh && !set.kids[token.kid] {
				return fmt.Errorf("a living JWT fails against a JWKS of %s ago", now.Sub(set.fetched))
			}
		}
	}
	return nil
}

func overlap(steps int, spoil func(*Ring), choose func(n int) int) error {
	w := &overlapRun{clock: newClock(), store: &table{}, life: 2 * time.Minute, spoil: spoil}
	for node := range w.nodes {
		if err := w.open(node, config.ES256); err != nil {
			return err
		}
	}
	if err := w.fetch(0); err != nil {
		return err
	}
	for range steps {
		if err := w.step(choose); err != nil {
			return err
		}
	}
	return nil
}

func TestEveryLivingJWTVerifiesUnderRotation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		err := overlap(60, nil, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "choice") })
		if err != nil {
			t.Fatal(err)
		}
	})
}

// TestControlsOfOverlap takes each half of the overlap out, and sees the property broken.
func TestControlsOfOverlap(t *testing.T) {
	for name, spoil := range map[string]func(*Ring){
		"a key signs as soon as it is made":        func(r *Ring) { r.lead = 0 },
		"a key signs before all nodes publish it":  func(r *Ring) { r.lead = r.options.PublishFor },
		"a key is gone as soon as it has a sequel": func(r *Ring) { r.options.Overlap = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(500) {
				random := rand.New(rand.NewPCG(seed, 0))
				if err := overlap(120, spoil, random.IntN); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Error("the fault was never seen")
		})
	}
}
