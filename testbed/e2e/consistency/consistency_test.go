package consistency

import (
	"flag"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// seed makes a run like another one, as far as the machine lets it.
var seed = flag.Uint64("seed", 0, "of the random choices; 0: another each time")

const (
	workers = 6
	steps   = 150
)

// record lets everybody loose on a new issuer and gives what they saw.
func record(t *testing.T, asks func(h *history, t *testing.T, name string) bool) []porcupine.Operation {
	t.Helper()
	s := *seed
	for s == 0 {
		s = rand.Uint64()
	}
	t.Logf("-seed %d", s)
	h := &history{world: rptest.New(t, rptest.Options{}), start: time.Now(), asks: asks}
	var running sync.WaitGroup
	for id := range workers {
		w := h.worker(t, s, id)
		running.Go(func() { w.run(steps) })
	}
	running.Wait()
	t.Log(brief(h.operations))
	return h.operations
}

// patience bounds the search for an order. One that exists is found at once.
const patience = 2 * time.Minute

// TestLinearizable: what was answered can be put into one order.
func TestLinearizable(t *testing.T) {
	history := record(t, introspects)
	if result := porcupine.CheckOperationsTimeout(model(), history, patience); result != porcupine.Ok {
		t.Errorf("there is no order of what was answered that an issuer could have had: %s", result)
	}
}

// TestLinearizableControl: an issuer that goes on answering as it did before is found out.
func TestLinearizableControl(t *testing.T) {
	var mu sync.Mutex
	before := map[string]bool{}
	history := record(t, func(h *history, t *testing.T, name string) bool {
		mu.Lock()
		active, known := before[name]
		mu.Unlock()
		if known {
			return active
		}
		active = introspects(h, t, name)
		mu.Lock()
		defer mu.Unlock()
		before[name] = active
		return active
	})
	if result := porcupine.CheckOperationsTimeout(model(), history, patience); result != porcupine.Illegal {
		t.Errorf("stale answers were found %s", result)
	}
}

// TestLinearizableControls: so is a build of the issuer in which nothing is outlived by a wide revocation.
func TestLinearizableControls(t *testing.T) {
	const message = "there is no order of what was answered that an issuer could have had: Illegal"
	out, err := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-tags", "fault_births", "-run", "^TestLinearizable$", ".").CombinedOutput()
	if err == nil || !strings.Contains(string(out), message) {
		t.Errorf("with the protection taken out the test ended with %v and without %q:\n%s", err, message, out)
	}
}
