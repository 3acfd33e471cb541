package feed

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// TestSubjects: an event ends the tokens that may be those it is about, and, where it does not say whose that are, all.
func TestSubjects(t *testing.T) {
	alice := Named{User: "alice", Session: "s1", Tenant: "acme", IssuedAt: 1000}
	tokens := map[string]Named{
		"alice":            alice,
		"alice, elsewhere": {User: "alice", Session: "s2", Tenant: "acme", IssuedAt: 1000},
		"bob":              {User: "bob", Session: "s3", Tenant: "acme", IssuedAt: 1000},
		"carol":            {User: "carol", Session: "s4", Tenant: "other", IssuedAt: 1000},
		"no session":       {User: "bob", Tenant: "acme", IssuedAt: 1000},
		"no user":          {Session: "s5", Tenant: "acme", IssuedAt: 1000},
		"no tenant":        {User: "bob", Session: "s6", IssuedAt: 1000},
	}
	const everything = "everything"
	for text, ends := range map[string][]string{
		`{"format":"iss_sub","iss":"https://issuer.example","sub":"alice"}`: {"alice", "alice, elsewhere", "no user"},
		`{"format":"opaque","id":"s1"}`:                                     {"alice", "no session", "no user"},
		`{"format":"opaque","id":"alice"}`:                                  {"alice", "alice, elsewhere", "no session", "no user"},
		`{"format":"complex","session":{"format":"opaque","id":"s1"}}`:      {"alice", "no session"},
		`{"format":"complex","session":{"format":"opaque","id":"s1"},"user":{"format":"iss_sub","iss":"https://issuer.example","sub":"alice"},"tenant":{"format":"opaque","id":"acme"}}`: {"alice", "alice, elsewhere", "no user"},
		`{"format":"complex","session":{"format":"opaque","id":"s1"},"user":{"format":"email","email":"alice@example.com"}}`:                                                             {"alice", "no session"},
		`{"format":"complex","tenant":{"format":"opaque","id":"acme"}}`:                                                                                                                  {"alice", "alice, elsewhere", "bob", "no session", "no user", "no tenant"},
		`{"format":"aliases","identifiers":[{"format":"email","email":"alice@example.com"},{"format":"iss_sub","iss":"https://issuer.example","sub":"alice"}]}`:                          {"alice", "alice, elsewhere", "no user"},
		`{"format":"complex","user":{"format":"aliases","identifiers":[{"format":"email","email":"a@example.com"},{"format":"opaque","id":"alice"}]}}`:                                   {"alice", "alice, elsewhere", "no user"},
		`{"format":"complex","user":{"format":"aliases","identifiers":[{"format":"opaque","id":"legacy-7"},{"format":"iss_sub","iss":"https://issuer.example","sub":"alice"}]}}`:         {"alice", "alice, elsewhere", "no user"},
		`{"format":"complex","session":{"format":"aliases","identifiers":[{"format":"opaque","id":"s0"},{"format":"opaque","id":"s1"}]}}`:                                                {"alice", "no session"},
		`{"format":"complex","tenant":{"format":"aliases","identifiers":[{"format":"opaque","id":"old"},{"format":"opaque","id":"other"}]}}`:                                             {"carol", "no tenant"},
		`{"format":"iss_sub","iss":"https://other.example","sub":"alice"}`:                                                                                                               {everything},
		`{"format":"iss_sub","iss":"https://issuer.example"}`:                                                                                                                            {everything},
		`{"format":"email","email":"alice@example.com"}`:                                                                                                                                 {everything},
		`{"format":"account","uri":"acct:alice@example.com"}`:                                                                                                                            {everything},
		`{"format":"jwt_id","iss":"https://issuer.example","jti":"1"}`:                                                                                                                   {everything},
		`{"format":"opaque"}`:         {everything},
		`{"format":"opaque","id":""}`: {everything},
		`{"format":"complex"}`:        {everything},
		`{"format":"complex","device":{"format":"opaque","id":"d1"}}`:                                                {everything},
		`{"format":"aliases","identifiers":[]}`:                                                                      {everything},
		`{"format":"aliases","identifiers":[{"format":"aliases","identifiers":[{"format":"opaque","id":"alice"}]}]}`: {everything},
		`{"format":"of tomorrow","id":"alice"}`:                                                                      {everything},
		`{"id":"alice"}`:                                                                                             {everything},
		`{}`:                                                                                                         {everything},
	} {
		t.Run(text, func(t *testing.T) {
			var s subject
			if err := json.Unmarshal([]byte(text), &s); err != nil {
				t.Fatal(err)
			}
			keys, known := subjectKeys(s, testIssuer)
			if known == (len(ends) == 1 && ends[0] == everything) {
				t.Fatalf("known: %t", known)
			}
			state := NewForeignState(time.Minute, time.Now())
			state.Forget(foreignEpoch, 0, time.Now())
			at, _ := state.Here()
			for n, key := range keys {
				state.Apply(uint64(n+1), key, 2000, time.Now())
			}
			want := map[string]bool{}
			for _, name := range ends {
				want[name] = true
			}
			for name, token := range tokens {
				if got := !state.Holds(at, token.Reaches()); known && got != want[name] {
					t.Errorf("%s is ended: %t", name, got)
				}
			}
		})
	}
}

// TestEndedBefore: a token that was issued in the second of the event is ended, and for the skew after it; a later one is
// another login's.
func TestEndedBefore(t *testing.T) {
	const at, skewed = 1_767_323_045, 1_767_323_045 + 60
	for name, test := range map[string]struct {
		event    string
		issuedAt float64 // of the SET
		last     int64   // the last second whose tokens are ended; 0: all
	}{
		"its own time":         {fmt.Sprintf(`{"event_timestamp":%d}`, at), at + 1000, skewed},
		"with a fraction":      {fmt.Sprintf(`{"event_timestamp":%d.5}`, at), at + 1000, skewed + 1},
		"none, so the SET's":   {`{}`, at, skewed},
		"not a number":         {`{"event_timestamp":"yesterday"}`, at, skewed},
		"null":                 {`{"event_timestamp":null}`, at, skewed},
		"nothing":              {`{"event_timestamp":0}`, at, skewed},
		"neither":              {`{}`, 0, 0},
		"before time":          {`{"event_timestamp":-5}`, -5, 0},
		"beyond all time":      {`{"event_timestamp":1e300}`, at, 0},
		"in milliseconds":      {fmt.Sprintf(`{"event_timestamp":%d000}`, at), at, at*1000 + 60},
		"an event that is not": {`[]`, at, skewed},
	} {
		t.Run(name, func(t *testing.T) {
			generation := endedBefore(json.RawMessage(test.event), test.issuedAt)
			ended := func(second int64) bool {
				state := NewForeignState(time.Minute, time.Now())
				state.Forget(foreignEpoch, 0, time.Now())
				at, _ := state.Here()
				state.Apply(1, subjectKey(kindUser, "alice"), generation, time.Now())
				return !state.Holds(at, Named{User: "alice", IssuedAt: second}.Reaches())
			}
			if test.last == 0 {
				if !ended(1 << 52) {
					t.Error("a token of the end of time is not ended")
				}
				return
			}
			if !ended(test.last) || ended(test.last+1) || !ended(0) {
				t.Errorf("a token of the last second is ended: %t; of the next: %t", ended(test.last), ended(test.last+1))
			}
		})
	}
}

// TestUntouched: what is read after an event on one of its keys, and was issued before, may be out of date.
func TestUntouched(t *testing.T) {
	state := NewForeignState(time.Minute, time.Now())
	if _, known := state.Here(); known {
		t.Error("the place is known before the feed has begun")
	}
	state.Forget(foreignEpoch, 0, time.Now())
	alice, bob := Named{User: "alice", Session: "s1", Tenant: "a", IssuedAt: 10}, Named{User: "bob", Session: "s2", Tenant: "a", IssuedAt: 10}
	state.Apply(1, subjectKey(kindUser, "alice"), 20, time.Now())
	at, known := state.Here()
	if !known || !state.Holds(at, alice.Reaches()) {
		t.Error("what is asked after the last event does not hold")
	}
	later := alice
	later.IssuedAt = 20
	if state.Untouched(alice.Reaches()) || !state.Untouched(bob.Reaches()) || !state.Untouched(later.Reaches()) {
		t.Error("untouched:", state.Untouched(alice.Reaches()), state.Untouched(bob.Reaches()), state.Untouched(later.Reaches()))
	}
	for n := range uint64(3) { // in the older half, too
		state.Apply(n+2, n, 1, time.Now().Add(time.Duration(n+1)*time.Hour))
		if n == 0 && state.Untouched(alice.Reaches()) {
			t.Error("the older half is not looked at")
		}
	}
	if state.Untouched(nil) {
		t.Error("what hangs on nothing is untouched")
	}
}

// TestAFlushIsRemembered for as long as an event is, and what was named before it too.
func TestAFlushIsRemembered(t *testing.T) {
	now := time.Now()
	state := NewForeignState(time.Minute, now)
	state.Forget(foreignEpoch, 0, now)
	alice, bob := Named{User: "alice", IssuedAt: 25}.Reaches(), Named{User: "bob", IssuedAt: 15}.Reaches()
	state.Apply(1, subjectKey(kindUser, "alice"), 30, now)
	before, _ := state.Here()
	state.Flush(2, 20, now)
	if state.Holds(before, Named{User: "carol", IssuedAt: 99}.Reaches()) {
		t.Error("what was cached holds")
	}
	state.Forget(foreignEpoch, 3, now) // another stream
	state.Turn(now.Add(time.Minute))
	if state.Untouched(alice) || state.Untouched(bob) || !state.Untouched(Named{User: "bob", IssuedAt: 20}.Reaches()) {
		t.Error("untouched:", state.Untouched(alice), state.Untouched(bob))
	}
	after, _ := state.Here()
	state.Turn(now.Add(2 * time.Minute))
	if !state.Untouched(alice) || !state.Untouched(bob) || !state.Holds(after, bob) {
		t.Error("it is remembered for ever")
	}
}
