package main

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestWaiting: who was there and has applied it is told with its time, who has not is named, and who came later is not waited for.
func TestWaiting(t *testing.T) {
	l := newLab(t)
	var hears string
	for _, name := range []string{"hears", "deaf"} {
		poll, err := l.stream(name)
		if err != nil {
			t.Fatal(err)
		}
		if hears == "" {
			hears = poll
		}
	}
	looked := 0
	code, out, told := l.run(t, l.Admin, nil, func(context.Context, time.Duration) error {
		switch looked++; looked {
		case 1:
			if _, err := l.stream("late"); err != nil {
				t.Error(err)
			}
			l.applyOnce(t, hears)
			return nil
		case 2:
			return context.DeadlineExceeded
		}
		t.Error("it looks again after its time")
		return context.DeadlineExceeded
	}, "revoke", "--client", "batch", "--wait", "--timeout", "1h")
	if code != exitError || looked != 2 {
		t.Errorf("exit code %d after it had looked %d times", code, looked)
	}
	if !strings.Contains(out, "\nhears    gateway  ") || strings.Contains(out, "deaf") || strings.Contains(out, "late") {
		t.Errorf("printed:\n%s", out)
	}
	if !strings.HasPrefix(told, "phantomctl: it is revoked, but not applied within 1h0m0s by deaf (last heard of 20") ||
		strings.Contains(told, "late") || strings.Contains(told, "hears (") {
		t.Errorf("told:\n%s", told)
	}
}

// TestAppliedWhileItLooks: between the list of gateways and the look at the revocation, the last one applies it. That is seen
// at once, and not looked at again.
func TestAppliedWhileItLooks(t *testing.T) {
	l := newLab(t)
	poll, err := l.stream("edge")
	if err != nil {
		t.Fatal(err)
	}
	admin := l.before(t, func(w http.ResponseWriter, r *http.Request, api http.Handler) {
		if r.Method == http.MethodGet && r.URL.Path != "/admin/v1/gateways" {
			l.applyOnce(t, poll)
		}
		api.ServeHTTP(w, r)
	})
	d := l.phantomctl(t, admin.URL, nil, "revoke", "--client", "batch", "--wait", "--timeout", "1h")
	if d.code != 0 || len(d.pauses) != 0 || !strings.Contains(d.out, "\nedge     gateway  ") {
		t.Errorf("exit code %d, paused %d times:\n%s%s", d.code, len(d.pauses), d.out, d.err)
	}
}

// applyOnce is a gateway that applies what there is now.
func (l lab) applyOnce(t *testing.T, poll string) {
	answer, err := l.feed(t.Context(), poll, `{"returnImmediately":true}`)
	if err != nil {
		t.Error(err)
		return
	}
	for jti := range answer["sets"].(map[string]any) {
		if _, err := l.feed(t.Context(), poll, `{"returnImmediately":true,"ack":["`+jti+`"]}`); err != nil {
			t.Error(err)
		}
	}
}
