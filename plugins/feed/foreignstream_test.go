package feed

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestForeignStatusesCountByTheirTime, whatever their ids, and when there are two of a second it is stopped.
func TestForeignStatusesCountByTheirTime(t *testing.T) {
	updated := func(id, status string, at int) []string {
		return pair(set(id, eventStreamUpdated, map[string]any{"iat": at}, map[string]any{"status": status}))
	}
	for name, test := range map[string]struct {
		answers [][]string
		fresh   bool
	}{
		"paused, then enabled":         {[][]string{slices.Concat(updated("2", "paused", 10), updated("1", "enabled", 11))}, true},
		"enabled, then paused":         {[][]string{slices.Concat(updated("1", "paused", 11), updated("2", "enabled", 10))}, false},
		"in one second":                {[][]string{slices.Concat(updated("1", "paused", 10), updated("2", "enabled", 10))}, false},
		"in one second, by other ids":  {[][]string{slices.Concat(updated("2", "paused", 10), updated("1", "enabled", 10))}, false},
		"enabled, which comes late":    {[][]string{updated("1", "paused", 11), updated("2", "enabled", 10)}, false},
		"one after the other":          {[][]string{updated("1", "paused", 10), updated("2", "enabled", 10)}, true},
		"with one that cannot be read": {[][]string{slices.Concat(updated("1", "paused", 10), []string{"2", "wait"})}, false},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAbroad(t)
			q := a.proves()
			at, _ := a.state.Here()
			for _, pairs := range test.answers {
				a.replies(q, false, sets(pairs...))
				q, _ = a.polledAbroad()
			}
			if a.fresh() != test.fresh || test.fresh && a.state.Holds(at, Named{User: "bob"}.Reaches()) {
				t.Errorf("fresh: %t, and what was cached before holds: %t", a.fresh(), a.state.Holds(at, Named{User: "bob"}.Reaches()))
			}
			a.replies(q, false, nil)
		})
	}
}

// TestForeignPollsGoOnWithoutProofOrToken, for as long as the last proof counts and the token is accepted.
func TestForeignPollsGoOnWithoutProofOrToken(t *testing.T) {
	t.Run("no verification event can be asked for", func(t *testing.T) {
		a := newAbroad(t)
		q := a.proves()
		for tries := range 3 {
			a.clock = a.clock.Add([]time.Duration{proofEvery, errandPause, errandPause}[tries])
			a.replies(q, false, nil)
			ask := a.next()
			if ask.url != verifyEndpoint {
				t.Fatalf("%s was asked, want the verification endpoint", ask.url)
			}
			ask.reply <- respond(500, "")
			a.polls(false, sets(set(fmt.Sprint(tries), eventRevoked, user("alice"), map[string]any{})))
			q, _ = a.polledAbroad()
			if want := tries < 2; a.state.Fresh(a.clock, time.Hour) != want { // 10 seconds late
				t.Errorf("fresh after %d tries: %t", tries+1, !want)
			}
			if a.untouched("alice", 1000) {
				t.Error("the event was not applied")
			}
		}
		a.replies(q, false, nil)
	})
	t.Run("no other token can be had", func(t *testing.T) {
		a := newAbroad(t)
		q := a.proves()
		a.clock = a.clock.Add(time.Hour) // nine tenths have passed
		a.replies(q, false, nil)
		renew := a.next()
		if renew.url != tokenEndpoint {
			t.Fatalf("%s was asked, want the token endpoint", renew.url)
		}
		renew.reply <- respond(503, "")
		a.asksProof()
		q, _ = a.polledAbroad()
		if q.authorization != "Bearer canary" {
			t.Error("the token that there was is dropped")
		}
		a.replies(q, false, a.verification())
		q, _ = a.polledAbroad()
		if !a.fresh() {
			t.Error("not fresh")
		}
		a.clock = a.clock.Add(errandPause)
		a.replies(q, false, nil)
		a.token(100)
		a.polls(false, nil)
	})
}

// TestForeignVerificationThatIsNotThere: it is a fault of the configuration, and no reason to make another stream.
func TestForeignVerificationThatIsNotThere(t *testing.T) {
	a := newAbroad(t)
	a.token(3600)
	a.next().reply <- respond(201, made)
	for range 3 {
		q := a.next()
		if q.url != verifyEndpoint {
			t.Fatalf("%s was asked, want the verification endpoint", q.url)
		}
		q.reply <- respond(404, "")
		a.polls(false, nil)
	}
	a.next().reply <- respond(404, "")
	gone, _ := a.polledAbroad()
	gone.reply <- respond(404, "") // this says so
	if q := a.next(); q.url != endpoint {
		t.Errorf("%s was asked, want another stream", q.url)
	} else {
		q.reply <- respond(201, made)
	}
	a.asksProof()
	a.polls(false, a.verification())
	a.polls(false, nil)
	if !a.fresh() || !strings.Contains(a.log.String(), "feedVerificationEndpoint") {
		t.Errorf("fresh: %t; the operator is told:\n%s", a.fresh(), a.log)
	}
}

// TestForeignClosed: the stream is ended, also one that is being made, and by another token when that has ended.
func TestForeignClosed(t *testing.T) {
	for name, close := range map[string]func(a *abroad, closed func()){
		"while it is made": func(a *abroad, closed func()) {
			a.token(3600)
			making := a.next()
			a.feed.stop() // as Close does at first
			if making.ctx.Err() != nil {
				a.t.Fatal("the making was cut off")
			}
			closed()
			making.reply <- respond(201, made)
		},
		"while its token has ended": func(a *abroad, closed func()) {
			q := a.proves()
			q.reply <- respond(401, "")
			a.next() // a question for a token, which is given up
			closed()
			a.token(3600)
		},
		"and the token has ended since": func(a *abroad, closed func()) {
			a.proves()
			closed()
			a.next().reply <- respond(401, "")
			a.token(3600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAbroad(t)
			done := make(chan error, 1)
			close(a, func() { go func() { done <- a.feed.Close() }() })
			last := a.next()
			if last.method != "DELETE" || last.url != endpoint+"?stream_id=st" || last.authorization != "Bearer canary" {
				t.Errorf("the end: %s %s", last.method, last.url)
			}
			last.reply <- respond(204, "")
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestForeignAnswersThatAreTooLong: fewer events are asked for then.
func TestForeignAnswersThatAreTooLong(t *testing.T) {
	a := newAbroad(t)
	q := a.proves()
	for _, want := range []int{500, 250} {
		q.reply <- respond(200, strings.Repeat(" ", mostBody+1))
		next, r := a.polledAbroad()
		if r.MaxEvents != want {
			t.Errorf("%d events are asked for, want %d", r.MaxEvents, want)
		}
		q = next
	}
	a.replies(q, false, nil)
}

// TestForeignFaultsThatComeAgain flush once, and are not asked for in haste.
func TestForeignFaultsThatComeAgain(t *testing.T) {
	for _, more := range []bool{false, true} {
		t.Run(fmt.Sprintf("more: %t", more), func(t *testing.T) {
			a := newAbroad(t)
			q := a.proves()
			a.replies(q, more, sets("1", "forged"))
			q, _ = a.polledAbroad()
			at, _ := a.state.Here()
			for len(a.pauses) > 0 {
				<-a.pauses
			}
			a.replies(q, more, sets("1", "forged"))
			q, r := a.polledAbroad()
			if pause := a.paused(); pause != pollEvery || len(r.SetErrs) != 1 {
				t.Errorf("it waits %v, and tells of %v", pause, r.SetErrs)
			}
			if !a.state.Holds(at, Named{User: "bob"}.Reaches()) {
				t.Error("everything is forgotten again")
			}
			a.replies(q, more, sets("1", "forged otherwise"))
			q, _ = a.polledAbroad()
			if a.state.Holds(at, Named{User: "bob"}.Reaches()) {
				t.Error("another one under its id does not count")
			}
			for n := range 2 * mostEvents { // in memory that is bounded
				a.feed.newFault(fmt.Sprint(n), "")
			}
			if kept := len(a.feed.foreign.faulty); kept != mostEvents {
				t.Errorf("%d are remembered", kept)
			}
			a.replies(q, false, nil)
		})
	}
}
