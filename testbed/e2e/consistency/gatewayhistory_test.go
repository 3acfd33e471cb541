package consistency

import (
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

const (
	replicas = 3
	// lasts is how long everybody acts: a few times the bound, in which one gateway is cut off for longer than it.
	lasts = 4 * bound
)

// crowd is a history with gateways before the issuer.
type crowd struct {
	*history
	replicas  []*replica
	cached    atomic.Int64 // requests that a gateway answered without asking
	unchecked atomic.Int64 // requests that could not be checked: they passed nothing and refused nobody
}

// recordCalls lets everybody loose on an issuer and the gateways before it, and gives what they saw.
func recordCalls(t *testing.T) []porcupine.Operation {
	t.Helper()
	s := *seed
	for s == 0 {
		s = rand.Uint64()
	}
	t.Logf("-seed %d", s)
	h := &history{world: rptest.New(t, rptest.Options{}), start: time.Now(), asks: introspects}
	c := &crowd{history: h, replicas: newReplicas(t, h.world, replicas)}
	over := make(chan struct{})
	var running sync.WaitGroup
	for id := range workers {
		w := h.worker(t, s, id)
		running.Go(func() { c.act(w, over) })
	}
	running.Go(func() { c.cutOne(t, over) })
	time.AfterFunc(lasts, func() { close(over) })
	running.Wait()
	c.raceForMany(&worker{history: h, t: t, id: workers})
	c.afterwards(t)
	t.Logf("%s; from the cache: %d, not to be checked: %d", brief(h.operations), c.cached.Load(), c.unchecked.Load())
	if c.cached.Load() == 0 {
		t.Error("no gateway ever answered from its cache: nothing was shown")
	}
	return h.operations
}

// cutOne lets the first gateway hear the feed, then keeps that from it for longer than the bound, and sends a request with every
// token before it lets it hear again: so again and again.
func (c *crowd) cutOne(t *testing.T, over <-chan struct{}) {
	for {
		select {
		case <-time.After(bound / 2):
		case <-over:
			return
		}
		heal := c.replicas[0].line.cutOff()
		select {
		case <-time.After(bound + bound/2):
			c.callAll(t, 0)
		case <-over:
		}
		heal()
	}
}

func (c *crowd) act(w *worker, over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		default:
		}
		switch n := w.random.IntN(100); {
		case n < 6:
			w.machine()
		case n < 11:
			w.login()
		case n < 15:
			w.introspect()
		case n < 18:
			w.refresh()
		case n < 20:
			w.exchange()
		case n < 21:
			w.revoke()
		case n < 25:
			c.race(w)
		default:
			c.callOne(w)
		}
	}
}

// callOne sends a request about any token, mostly a young one, through any gateway.
func (c *crowd) callOne(w *worker) {
	picked, ok := w.one()
	if !ok {
		return
	}
	if w.random.IntN(4) == 0 {
		w.mu.Lock()
		picked = w.tokens[w.random.IntN(len(w.tokens))]
		w.mu.Unlock()
	}
	c.call(w.t, w.id, picked, w.random.IntN(replicas), w.random.IntN(2) == 0)
}

// race has one revoke a new token while others are being sent through all gateways for the first time with it.
func (c *crowd) race(w *worker) {
	made := w.machine()
	if made.name == "" {
		return
	}
	var running sync.WaitGroup
	for n := range replicas {
		running.Go(func() { c.call(w.t, w.id, made, n, false) })
	}
	w.end(made.name, `{"token":"`+made.name+`"}`)
	running.Wait()
}

// raceForMany has one revocation, the last of all, end many new tokens that are being sent through all gateways for the first time:
// every gateway has the issuer's answers come when it has heard of the revocation, and no later event has it look at them again.
func (c *crowd) raceForMany(w *worker) {
	const many = 20
	operator := w.world.Machine(w.t, rptest.Operator())
	var fresh []token
	for range many {
		made := w.machine()
		if made.name == "" {
			w.t.Fatal("a machine was given no token, though nothing is revoked any more")
		}
		fresh = append(fresh, made)
	}
	var release []func()
	for _, r := range c.replicas {
		release = append(release, r.line.holdBack())
	}
	var running sync.WaitGroup
	for _, made := range fresh {
		for n := range replicas {
			running.Go(func() { c.call(w.t, w.id, made, n, false) })
		}
	}
	for _, r := range c.replicas {
		eventually(w.t, "the issuer has answered a gateway about all", func() bool { return r.line.holds() >= many })
	}
	id := w.endAs(operator, "client job", `{"client":"job"}`)
	eventually(w.t, "all gateways have applied the revocation", func() bool {
		applied, _ := w.world.Operate(w.t, operator, http.MethodGet, "/admin/v1/revocations/"+id, "").Members["applied"].([]any)
		return len(applied) >= replicas
	})
	for _, do := range release {
		do()
	}
	running.Wait()
}

// call sends a request through a gateway and writes it down as if it had come earlier by the bound, but not before its token
// was there: at some moment from then on the token must have been as the gateway said.
func (c *crowd) call(t *testing.T, client int, about token, n int, other bool) {
	path := catalogue
	if other && len(about.reaches) > 5 { // a person's token is good for both
		path = basket
	}
	earliest := max(time.Since(c.start)-bound, about.answered)
	status, cached := c.replicas[n].call(t, path, about.name)
	switch status {
	case http.StatusOK, http.StatusUnauthorized:
		c.note(client, input{kind: "call", token: about.name}, output{ok: status == http.StatusOK}, earliest)
	case http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		c.unchecked.Add(1)
	default:
		t.Errorf("a gateway answered %d", status)
	}
	if cached && status == http.StatusOK {
		c.cached.Add(1)
	}
}

// afterwards sends a request with every token through every gateway, when all revocations are older than the bound.
func (c *crowd) afterwards(t *testing.T) {
	<-time.After(bound)
	var running sync.WaitGroup
	for n := range c.replicas {
		running.Go(func() { c.callAll(t, n) })
	}
	running.Wait()
}

// callAll sends a request with every token that there is through one gateway, whose answers come quickly meanwhile.
func (c *crowd) callAll(t *testing.T, n int) {
	c.replicas[n].line.quick.Store(true)
	defer c.replicas[n].line.quick.Store(false)
	c.mu.Lock()
	all := slices.Clone(c.tokens)
	c.mu.Unlock()
	for _, about := range all {
		c.call(t, workers+n, about, n, false)
	}
}

// byGrant parts a history into those of its grants, each with the revocations that are about it. What a gateway promises is
// promised of every token by itself.
func byGrant(history []porcupine.Operation) [][]porcupine.Operation {
	grantOf, reachesOf := map[string]string{}, map[string]map[string]bool{}
	for _, op := range history {
		if made := op.Output.(output).made; made.name != "" {
			grantOf[made.name] = made.grant
			if reachesOf[made.grant] == nil {
				reachesOf[made.grant] = map[string]bool{}
			}
			for _, reach := range made.reaches {
				reachesOf[made.grant][reach] = true
			}
		}
	}
	parts := map[string][]porcupine.Operation{}
	for _, op := range history {
		in, out := op.Input.(input), op.Output.(output)
		switch {
		case in.kind == "revoke":
			for grant, reaches := range reachesOf {
				if reaches[in.reach] {
					parts[grant] = append(parts[grant], op)
				}
			}
		case in.kind == "refresh":
			parts[in.grant] = append(parts[in.grant], op)
		case in.kind == "issue":
			parts[out.made.grant] = append(parts[out.made.grant], op)
		default:
			parts[grantOf[in.token]] = append(parts[grantOf[in.token]], op)
		}
	}
	return slices.Collect(maps.Values(parts))
}

const staleCalls = "a gateway answered what was not so at any moment within the bound: "

// TestGatewaysWithinTheBound: whatever a gateway answered was so at some moment from the bound before the request on.
func TestGatewaysWithinTheBound(t *testing.T) {
	m := model()
	m.Partition = byGrant
	if result := porcupine.CheckOperationsTimeout(m, recordCalls(t), patience); result != porcupine.Ok {
		t.Error(staleCalls + string(result))
	}
}
