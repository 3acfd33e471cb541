package replicas

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/phantomgate/phantomgate/plugins/controltest"
	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// startingLine is where refreshes on their way to the issuer wait for each other, so that each was sent before any was
// answered. It carries everything.
type startingLine struct {
	mu      sync.Mutex
	awaited int           // refreshes still to come
	all     chan struct{} // closed when they have come
}

func newStartingLine(n int) *startingLine { return &startingLine{awaited: n, all: make(chan struct{})} }

// RoundTrip does what http.RoundTripper says.
func (l *startingLine) RoundTrip(req *http.Request) (*http.Response, error) {
	refresh, err := isRefresh(req)
	if err != nil {
		return nil, err
	}
	if refresh {
		l.arrive()
		select {
		case <-l.all:
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
	return http.DefaultTransport.RoundTrip(req)
}

// isRefresh tells whether req is a token request with a refresh reference. It leaves the body to be sent.
func isRefresh(req *http.Request) (bool, error) {
	if req.Method != http.MethodPost || req.GetBody == nil {
		return false, nil
	}
	body, err := req.GetBody()
	if err != nil {
		return false, err
	}
	form, err := io.ReadAll(body)
	return strings.Contains(string(form), "grant_type=refresh_token"), err
}

func (l *startingLine) arrive() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.awaited--; l.awaited == 0 {
		close(l.all)
	}
}

// both lets two tabs of one browser, with the same cookies, do something at the same time.
func both(one, two func() *httptest.ResponseRecorder) (answers [2]*httptest.ResponseRecorder) {
	var running sync.WaitGroup
	running.Go(func() { answers[0] = one() })
	running.Go(func() { answers[1] = two() })
	running.Wait()
	return answers
}

// TestReplicasRefresh lets two replicas, which share nothing but their keys, send one and the same refresh reference to the
// issuer at the same time, as two tabs of a browser bring it about behind a load balancer. Both tabs go on, and the issuer has
// made one successor.
func TestReplicasRefresh(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	line := newStartingLine(2)
	east, west := newReplica(t, w, line), newReplica(t, w, line)
	one := logIn(t, w, east)
	two := one.tab()
	before, first := len(w.Alive(t, "alice", "spa")), one.token(west)

	for i, answer := range both(
		func() *httptest.ResponseRecorder { return one.post(east, "/refresh", "") },
		func() *httptest.ResponseRecorder { return two.post(west, "/refresh", "") },
	) {
		if answer.Code != http.StatusNoContent {
			t.Errorf("tab %d's refresh is answered %d %s", i+1, answer.Code, answer.Body)
		}
	}
	if made := len(w.Alive(t, "alice", "spa")) - before; made != 1 {
		t.Errorf("the two refreshes made %d access tokens", made)
	}
	// Whichever tab's cookies the browser keeps, and whichever replica it meets.
	for _, r := range []*replica{east, west} {
		if a, b := one.token(r), two.token(r); a != b || a == first {
			t.Errorf("the tabs' tokens are %q and %q; before it was %q", a, b, first)
		}
	}
	// And they hold the same refresh reference, which is good for one more refresh, and for two again.
	for _, tab := range []*app{one, two} {
		if answer := tab.post(west, "/refresh", ""); answer.Code != http.StatusNoContent {
			t.Errorf("the next refresh is answered %d %s", answer.Code, answer.Body)
		}
	}
	if made := len(w.Alive(t, "alice", "spa")) - before; made != 2 {
		t.Errorf("after one more refresh there are %d access tokens more", made)
	}
}

// TestReplicasRenewOnTheWay is the same for requests to an API that come when the token is about to end.
func TestReplicasRenewOnTheWay(t *testing.T) {
	w := rptest.New(t, rptest.Options{Clock: rptest.NewClock()})
	line := newStartingLine(2)
	east, west := newReplica(t, w, line), newReplica(t, w, line)
	one := logIn(t, w, east)
	two := one.tab()
	w.Clock.Advance(accessLife - 1) // the last moment
	before := len(w.Alive(t, "alice", "spa"))
	for i, answer := range both(
		func() *httptest.ResponseRecorder { return one.api(east) },
		func() *httptest.ResponseRecorder { return two.api(west) },
	) {
		if answer.Code != http.StatusOK || len(answer.Result().Cookies()) != 2 {
			t.Errorf("tab %d's call is answered %d %s with %d cookies", i+1, answer.Code, answer.Body, len(answer.Result().Cookies()))
		}
	}
	if made := len(w.Alive(t, "alice", "spa")) - before; made != 1 {
		t.Errorf("the two renewals made %d access tokens", made)
	}
}

// TestReplicasRefreshNeedsTheGrace is the control of the two before: without the issuer's grace they fail.
func TestReplicasRefreshNeedsTheGrace(t *testing.T) {
	noGrace := controltest.Control{
		Fault: "no grace for tabs", File: "../../../authserver/internal/grants/refresh.go",
		Old: "const grace = 10 * time.Second", New: "const grace = 0 * time.Second", Test: "TestReplicasRefresh", In: ".", Says: "session_expired",
	}
	onTheWay := noGrace
	onTheWay.Fault, onTheWay.Test = "no grace for calls", "TestReplicasRenewOnTheWay"
	controltest.Run(t, []controltest.Control{noGrace, onTheWay})
}
