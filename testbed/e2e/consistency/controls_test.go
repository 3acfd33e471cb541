package consistency

import (
	"slices"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/phantomgate/phantomgate/plugins/controltest"
)

// stale are faults that let what was revoked pass.
var stale = []controltest.Control{
	{Fault: "a hit is not held against the feed", File: "phantomtoken/store.go", Old: " && (st.feed == nil || st.feed.Holds(e.on.position, e.on.reaches))", New: ""},
	{Fault: "an answer in flight counts as read when it comes", File: "feed/state.go", Old: "return Position{s.era.Load(), sequence},", New: "return Position{s.era.Load(), max(sequence, s.applied.Load())},"},
	{Fault: "silence is fresh", File: "feed/state.go", Old: "heard != never && monotonic-heard <= longest && wall-s.heardWall.Load() <= longest", New: "heard != never"},
}

// misfit are those that the model of a cache knows beside them.
var misfit = []controltest.Control{
	{Fault: "an overtaken answer is passed on", File: "phantomtoken/phantomtoken.go", Old: "if l.followed && !s.vouched(l) {", New: "if false {"},
	{Fault: "nothing is forgotten", File: "feed/events.go", Old: "	f.state.Forget(a.Epoch, *a.To, f.cfg.Now())\n", New: "	if !f.placed {\n		f.state.Forget(a.Epoch, *a.To, f.cfg.Now())\n	}\n	f.state.Skip(*a.To)\n"},
	{Fault: "nothing is cached", File: "phantomtoken/phantomtoken.go", Old: "s.keepable(l) && ", New: "false && "},
}

// TestCacheMachineControls: a gateway with a part of the protection taken out does not fit the model.
func TestCacheMachineControls(t *testing.T) {
	controltest.Run(t, inCore(slices.Concat(stale, misfit), "TestCacheMachine", ""), "-rapid.nofailfile", "-rapid.shrinktime=1s")
}

// TestGatewaysControls: gateways with a part of the protection taken out are found out.
func TestGatewaysControls(t *testing.T) {
	controltest.Run(t, inCore(stale, "TestGatewaysWithinTheBound", staleCalls+string(porcupine.Illegal)))
}

// inCore are faults of the gateway's core that a test of this package must see, saying so.
func inCore(faults []controltest.Control, test, says string) (all []controltest.Control) {
	for _, c := range faults {
		c.File, c.In, c.Test, c.Says = "../../../plugins/"+c.File, ".", test, says
		all = append(all, c)
	}
	return all
}
