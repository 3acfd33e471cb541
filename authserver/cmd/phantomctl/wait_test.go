package main

import (
	"context"
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
	code, out, told := l.run(t, l.Admin, nil, func(ctx context.Context, _ time.Duration) error {
		switch looked++; looked {
		case 1:
			if _, err := l.stream("late"); err != nil {
				t.Error(err)
			}
			answer, err := l.feed(ctx, hears, `{"returnImmediately":true}`)
			if err != nil {
				t.Error(err)
			}
			for jti := range answer["sets"].(map[string]any) {
				if _, err := l.feed(ctx, hears, `{"returnImmediately":true,"ack":["`+jti+`"]}`); err != nil {
					t.Error(err)
				}
			}
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
