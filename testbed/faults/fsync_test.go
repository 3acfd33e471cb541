package faults

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

// TestEveryAnsweredWriteWasSynced looks, with strace, between the arrival of each writing request and its answer for the
// sync of the write-ahead log.
func TestEveryAnsweredWriteWasSynced(t *testing.T) {
	needStrace(t)
	for _, path := range unsynced(t, "") {
		t.Errorf("a POST to %s was answered before the write-ahead log was synced", path)
	}
}

// TestEveryAnsweredWriteWasSyncedControl is the same on an issuer with synchronous=NORMAL.
func TestEveryAnsweredWriteWasSyncedControl(t *testing.T) {
	needStrace(t)
	found := unsynced(t, "fault_sync")
	for _, path := range []string{"/oauth/token", "/oauth/revoke", "/admin/v1/revocations"} {
		if !strings.Contains(strings.Join(found, "\n"), path) {
			t.Errorf("an issuer with synchronous=NORMAL was not caught at %s; caught: %v", path, found)
		}
	}
}

// unsynced lists the paths of writing requests that were answered without a sync.
func unsynced(t *testing.T, tags string) []string {
	t.Helper()
	i := newIssuer(t, tags)
	p, file := i.startTraced(t, "-e", "trace=read,write,fsync,fdatasync")
	c := i.client()
	family := c.logIn(t).Refresh
	operator, err := c.issue("operator", "admin")
	if err != nil {
		t.Fatal(err)
	}
	const rounds = 10
	for range rounds {
		first, err := c.issue("batch", "eventcatalog.read")
		if err != nil {
			t.Fatal(err)
		}
		second, err := c.issue("batch", "eventcatalog.read")
		if err != nil {
			t.Fatal(err)
		}
		refreshed, err := c.refresh(family)
		if err != nil {
			t.Fatal(err)
		}
		family = refreshed.Refresh
		if err := errors.Join(c.revoke("batch", first), c.operate(operator, `{"token":"`+second+`"}`)); err != nil {
			t.Fatal(err)
		}
	}
	// strace writes an answer down when it has seen the call return: later than the client has the answer, but not than the next
	// one on the same connection.
	if err := c.ask(operator, http.MethodGet, "/admin/v1/tokens?client=batch", ""); err != nil {
		t.Fatal(err)
	}
	p.kill()

	var found []string
	writes := map[string]int{}
	for _, r := range readTrace(t, file) {
		if !r.post || (r.answer != "200" && r.answer != "303") {
			continue
		}
		writes[r.path]++
		if !r.synced {
			found = append(found, r.path)
		}
	}
	// The trace must have shown the requests at all: one code, the operator's token, and those of the rounds.
	for path, want := range map[string]int{"/oauth/token": 2 + 3*rounds, "/oauth/revoke": rounds, "/admin/v1/revocations": rounds} {
		if writes[path] != want {
			t.Errorf("the trace shows %d × POST %s, want %d", writes[path], path, want)
		}
	}
	return found
}

// TestASyncThatFails lets syncs fail with EIO: what could not be made durable is answered 503, and what was answered holds.
func TestASyncThatFails(t *testing.T) {
	needStrace(t)
	i := newIssuer(t, "")
	p, _ := i.startTraced(t, "-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when=40..60")
	c := i.client()
	var answered []string
	refused, mended := 0, false
	// strace counts the syncs of each thread by itself, and Go has others make them as it likes.
	for n := 0; n < 150 || !mended && n < 3000; n++ {
		token, err := c.issue("batch", "eventcatalog.read")
		var r *refusal
		switch {
		case err == nil:
			answered = append(answered, token)
			mended = refused > 0
		case errors.As(err, &r) && r.status == http.StatusServiceUnavailable && r.retryAfter != "":
			refused++
		default:
			t.Fatalf("a failed sync was answered with %v, want 503 and Retry-After", err)
		}
	}
	if !mended || len(answered) < 50 {
		t.Errorf("%d were refused and %d answered: the fault did not come, or stayed", refused, len(answered))
	}
	p.kill()
	i.start(t)
	for _, token := range answered {
		if alive, err := c.active(token); err != nil || !alive {
			t.Fatalf("an answered token is active: %t (error: %v)", alive, err)
		}
	}
	t.Logf("%d tokens answered, %d refused", len(answered), refused)
}
