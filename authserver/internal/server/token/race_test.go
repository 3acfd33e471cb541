package token_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/grants/grantstest"
)

const (
	racers = 8
	rounds = 1000
	lost   = "the race is lost"
)

// race sends one request by all racers at once, and gives their answers.
func race(send func() *httptest.ResponseRecorder) [racers]*httptest.ResponseRecorder {
	var answers [racers]*httptest.ResponseRecorder
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	for n := range racers {
		ready.Add(1)
		done.Go(func() {
			ready.Done()
			<-start
			answers[n] = send()
		})
	}
	ready.Wait()
	close(start)
	done.Wait()
	return answers
}

// TestRaceForOneCode: of eight that redeem one code at once at most one is answered, the others are refused, and whatever
// was given is revoked, since a code that is used twice has leaked.
func TestRaceForOneCode(t *testing.T) {
	i := grantstest.New(t)
	for round := range rounds {
		code := i.Code(t, "web", "offline_access", "eventcatalog.read")
		var given []grants.Answer
		for _, w := range race(func() *httptest.ResponseRecorder { return redeem(i, "web", code) }) {
			switch w.Code {
			case http.StatusOK:
				given = append(given, answered(t, w))
			default:
				refused(t, w, 400, "invalid_grant")
			}
		}
		if len(given) != 1 {
			t.Fatalf("round %d: %s: one code was redeemed %d times", round, lost, len(given))
		}
		if active(t, i, given[0].AccessToken) {
			t.Fatalf("round %d: the access token outlives the code's second use", round)
		}
		refused(t, refresh(i, "web", given[0].RefreshToken), 400, "invalid_grant")
	}
}

// TestRaceForOneRefresh: of eight that use one refresh reference at once each gets the same answer, since two tabs and a
// lost answer are no theft, and so there is one successor.
func TestRaceForOneRefresh(t *testing.T) {
	i := grantstest.New(t)
	a := answered(t, redeem(i, "web", i.Code(t, "web", "offline_access", "eventcatalog.read")))
	for round := range rounds {
		successors := map[string]bool{}
		var next grants.Answer
		for _, w := range race(func() *httptest.ResponseRecorder { return refresh(i, "web", a.RefreshToken) }) {
			if w.Code != http.StatusOK {
				t.Fatalf("round %d: answered %d %s", round, w.Code, w.Body)
			}
			successors[w.Body.String()] = true
			if err := json.Unmarshal(w.Body.Bytes(), &next); err != nil {
				t.Fatal(err)
			}
		}
		if len(successors) != 1 {
			t.Fatalf("round %d: %s: one refresh reference has %d successors", round, lost, len(successors))
		}
		if !active(t, i, next.AccessToken) {
			t.Fatalf("round %d: the race ended the family", round)
		}
		a = next
	}
}

// TestControlRaces builds the store without the condition of the consuming write and sees both races lost.
func TestControlRaces(t *testing.T) {
	for _, test := range []string{"TestRaceForOneCode", "TestRaceForOneRefresh"} {
		t.Run(test, func(t *testing.T) { grantstest.SeesFault(t, "fault_consume", "^"+test+"$", lost) })
	}
}
