package feed

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	tokenEndpoint  = "http://127.0.0.1:1/token"
	verifyEndpoint = "http://127.0.0.1:1/ssf/verify"
	pollEndpoint   = "http://127.0.0.1:1/poll/here"
)

// abroad is a feed over a scripted foreign transmitter, by a clock of its own.
type abroad struct {
	*scripted
	clock time.Time // moved only while the feed waits for an answer
	state *State
	proof string // the state of the verification event that was asked for last
}

func newAbroad(t *testing.T, changes ...func(*Config)) *abroad {
	t.Helper()
	a := &abroad{clock: time.Now()}
	a.scripted = newScripted(t, append([]func(*Config){func(c *Config) {
		c.Foreign = &Foreign{TokenEndpoint: tokenEndpoint, Scope: "ssf.manage", VerificationEndpoint: verifyEndpoint}
		c.Now = func() time.Time { return a.clock }
	}}, changes...)...)
	a.state = a.feed.State()
	return a
}

const made = `{"stream_id":"st","iss":"https://issuer.example","aud":["rcv"],"delivery":{"method":"urn:ietf:rfc:8936","endpoint_url":"http://127.0.0.1:1/poll/here"},` +
	`"events_delivered":["https://schemas.openid.net/secevent/caep/event-type/session-revoked"]}`

// token answers the question for a token.
func (a *abroad) token(expires int) {
	a.t.Helper()
	q := a.next()
	if q.url != tokenEndpoint {
		a.t.Fatalf("%s, want the token endpoint", q.url)
	}
	q.reply <- respond(200, fmt.Sprintf(`{"access_token":"canary","token_type":"bearer","expires_in":%d}`, expires))
}

// asksProof takes the question for a verification event.
func (a *abroad) asksProof() {
	a.t.Helper()
	q := a.next()
	var asked struct {
		Stream string `json:"stream_id"`
		State  string `json:"state"`
	}
	if err := json.Unmarshal([]byte(q.body), &asked); err != nil || q.url != verifyEndpoint || asked.Stream != "st" || asked.State == "" {
		a.t.Fatalf("%s %s, want a question for a verification event", q.url, q.body)
	}
	a.proof = asked.State
	q.reply <- respond(204, "")
}

// begins takes the feed to its first poll.
func (a *abroad) begins() {
	a.t.Helper()
	a.token(3600)
	a.next().reply <- respond(201, made)
	a.asksProof()
}

// polls answers the next poll, and returns what it said.
func (a *abroad) polls(more bool, sets map[string]string) request {
	a.t.Helper()
	q, r := a.polledAbroad()
	a.replies(q, more, sets)
	return r
}

func (a *abroad) polledAbroad() (*asked, request) {
	a.t.Helper()
	q := a.next()
	var r request
	if err := json.Unmarshal([]byte(q.body), &r); err != nil || q.url != pollEndpoint {
		a.t.Fatalf("%s %s, want a poll", q.url, q.body)
	}
	return q, r
}

func (a *abroad) replies(q *asked, more bool, sets map[string]string) {
	if sets == nil {
		sets = map[string]string{}
	}
	body, err := json.Marshal(map[string]any{"sets": sets, "moreAvailable": more})
	if err != nil {
		panic(err)
	}
	q.reply <- respond(200, string(body))
}

// set is a SET of one event.
func set(id, event string, claims map[string]any, payload map[string]any) (string, string) {
	all := map[string]any{"iss": testIssuer, "aud": "rcv", "iat": 1000, "jti": id, "events": map[string]any{event: payload}}
	maps.Copy(all, claims)
	text, err := json.Marshal(all)
	if err != nil {
		panic(err)
	}
	return id, "good:" + string(text)
}

func (a *abroad) verification() map[string]string {
	return sets(set("v", eventVerification, map[string]any{"sub_id": map[string]any{"format": "opaque", "id": "st"}}, map[string]any{"state": a.proof}))
}

func user(sub string) map[string]any {
	return map[string]any{"sub_id": map[string]any{"format": "iss_sub", "iss": testIssuer, "sub": sub}}
}

// proves takes the feed to where it is fresh, and its next poll.
func (a *abroad) proves() *asked {
	a.t.Helper()
	a.begins()
	a.polls(false, a.verification())
	q, r := a.polledAbroad()
	if !slices.Equal(r.Ack, []string{"v"}) || !a.fresh() {
		a.t.Fatalf("acknowledged %v, fresh %t", r.Ack, a.fresh())
	}
	return q
}

// untouched tells whether a token of this user may be cached that was issued then.
func (a *abroad) untouched(user string, issued int64) bool {
	return a.state.Untouched(Named{User: user, IssuedAt: issued}.Reaches())
}

func (a *abroad) fresh() bool { return a.state.Fresh(a.clock, 5*time.Second) }

// TestForeignWire: what is sent, and where to.
func TestForeignWire(t *testing.T) {
	for _, inForm := range []bool{false, true} {
		t.Run(fmt.Sprintf("the secret in the form: %t", inForm), func(t *testing.T) {
			a := newAbroad(t, func(c *Config) { c.Foreign.SecretInForm = inForm })
			q := a.next()
			form, err := url.ParseQuery(q.body)
			if err != nil || form.Get("grant_type") != "client_credentials" || form.Get("scope") != "ssf.manage" {
				t.Errorf("%s", q.body)
			}
			basic := q.authorization == "Basic Z2F0ZSt3YXk6Y2FuYXJ5JTNBc2VjcmV0"
			posted := form.Get("client_id") == "gate way" && form.Get("client_secret") == "canary:secret"
			if basic == inForm || posted != inForm || inForm && q.authorization != "" || !inForm && form.Has("client_secret") {
				t.Errorf("authorization %q, form %s", q.authorization, q.body)
			}
			q.reply <- respond(200, `{"access_token":"canary","token_type":"Bearer"}`)
			const want = `{"delivery":{"method":"urn:ietf:rfc:8936"},"events_requested":["https://schemas.openid.net/secevent/caep/event-type/session-revoked",` +
				`"https://schemas.openid.net/secevent/caep/event-type/token-claims-change","https://schemas.openid.net/secevent/caep/event-type/credential-change"],"description":"replica-1"}`
			q = a.next()
			if q.method != "POST" || q.url != endpoint || q.body != want || q.authorization != "Bearer canary" {
				t.Errorf("%s %s %s", q.method, q.url, q.body)
			}
			q.reply <- respond(201, made)
			a.asksProof()
			q = a.next()
			if q.method != "POST" || q.url != pollEndpoint || q.authorization != "Bearer canary" || q.body != `{"maxEvents":1000,"returnImmediately":true}` {
				t.Errorf("%s %s %s", q.method, q.url, q.body)
			}
			a.replies(q, false, nil)
		})
	}
}

// TestForeignStreamsThatAreNotUsed: nothing is sent to where a stream is not to be polled, and nothing is fresh.
func TestForeignStreamsThatAreNotUsed(t *testing.T) {
	change := func(old, new string) string {
		if !strings.Contains(made, old) {
			t.Fatal(old)
		}
		return strings.Replace(made, old, new, 1)
	}
	for name, test := range map[string]struct {
		status int
		body   string
		says   string
	}{
		"another host":            {201, change("127.0.0.1:1/poll", "elsewhere.example/poll"), "feedEndpoint"},
		"another port":            {201, change("127.0.0.1:1/poll", "127.0.0.1:2/poll"), "feedEndpoint"},
		"another scheme":          {201, change("http://127.0.0.1:1/poll", "https://127.0.0.1:1/poll"), "feedEndpoint"},
		"no address":              {201, change("http://127.0.0.1:1/poll/here", ""), "feedEndpoint"},
		"pushed":                  {201, change("rfc:8936", "rfc:8935"), "feedEndpoint"},
		"another issuer":          {201, change("https://issuer.example", "https://other.example"), "iss"},
		"no audience":             {201, change(`"aud":["rcv"],`, ""), "aud"},
		"no id":                   {201, change(`"stream_id":"st",`, ""), "stream_id"},
		"no revocations":          {201, change("session-revoked", "device-compliance-change"), "session is revoked"},
		"one stream for a client": {409, "{}", "a client of its own"},
		"not there":               {404, "{}", "404"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAbroad(t)
			a.token(3600)
			a.next().reply <- respond(test.status, test.body)
			q := a.next()                              // the next try
			if test.status == 201 && name != "no id" { // what was made is ended first
				if q.method != "DELETE" || q.url != endpoint+"?stream_id=st" {
					t.Errorf("%s %s, want the end of the stream", q.method, q.url)
				}
				q.reply <- respond(204, "")
				q = a.next()
			}
			if q.url != endpoint || a.fresh() {
				t.Errorf("%s was asked; fresh: %t", q.url, a.fresh())
			}
			if !strings.Contains(a.log.String(), test.says) {
				t.Errorf("the operator is told:\n%s", a.log)
			}
			q.reply <- respond(500, "")
		})
	}
}

// TestForeignEvents: each is acknowledged, and ends what it is about.
func TestForeignEvents(t *testing.T) {
	const caep = "https://schemas.openid.net/secevent/caep/event-type/"
	const ends, nothing, everything = "ends", "nothing", "everything"
	for event, want := range map[string]string{
		eventRevoked: ends, eventClaimsChange: ends, eventCredential: ends, caep + "assurance-level-change": ends,
		"https://schemas.openid.net/secevent/risc/event-type/account-disabled": ends, "https://other.example/of-tomorrow": ends,
		eventEstablished: nothing, eventPresented: nothing, eventVerification: nothing,
	} {
		t.Run(event, func(t *testing.T) {
			a := newAbroad(t)
			q := a.proves()
			at, _ := a.state.Here()
			a.replies(q, false, sets(set("1", event, user("alice"), map[string]any{"event_timestamp": 1000})))
			r := a.polls(false, nil)
			if !slices.Equal(r.Ack, []string{"1"}) || len(r.SetErrs) > 0 || !a.fresh() {
				t.Errorf("acknowledged %v, faulty %v, fresh %t", r.Ack, r.SetErrs, a.fresh())
			}
			alice, bob := Named{User: "alice", Session: "s", Tenant: "t", IssuedAt: 1000}, Named{User: "bob", Session: "s", Tenant: "t", IssuedAt: 1000}
			if got := !a.state.Holds(at, alice.Reaches()); got != (want == ends) {
				t.Errorf("it ends a token: %t", got)
			}
			if !a.state.Holds(at, bob.Reaches()) {
				t.Error("it ends another's token")
			}
		})
	}
	for name, change := range map[string]func(id, set string) (string, string){
		"about an address": func(id, _ string) (string, string) {
			return set(id, eventRevoked, map[string]any{"sub_id": map[string]any{"format": "email", "email": "a@example.com"}}, map[string]any{})
		},
		"about nobody": func(id, _ string) (string, string) { return set(id, eventRevoked, nil, map[string]any{}) },
		"a stranger's": func(id, set string) (string, string) { return id, strings.TrimPrefix(set, "good:") },
		"another's issuer": func(id, s string) (string, string) {
			return id, strings.Replace(s, testIssuer+`","jti`, `https://x.example","jti`, 1)
		},
		"another's":   func(id, s string) (string, string) { return id, strings.Replace(s, `"rcv"`, `"another"`, 1) },
		"another jti": func(id, s string) (string, string) { return id + "0", s },
		"without events": func(id, s string) (string, string) {
			return id, `good:{"iss":"` + testIssuer + `","aud":"rcv","jti":"1","events":{}}`
		},
		"of no form": func(id, s string) (string, string) { return id, `good:[]` },
	} {
		t.Run(name, func(t *testing.T) {
			a := newAbroad(t)
			q := a.proves()
			at, _ := a.state.Here()
			id, raw := change(set("1", eventRevoked, user("alice"), map[string]any{"event_timestamp": 1000}))
			a.replies(q, false, sets(id, raw))
			r := a.polls(false, nil)
			if faulty := !strings.HasPrefix(name, "about"); len(r.Ack) == 1 == faulty || len(r.SetErrs) == 1 != faulty {
				t.Errorf("acknowledged %v, faulty %v", r.Ack, r.SetErrs)
			}
			if a.state.Holds(at, Named{User: "bob", Session: "s", Tenant: "t", IssuedAt: 1 << 40}.Reaches()) {
				t.Error("something is not forgotten")
			}
			now, _ := a.state.Here()
			if !a.fresh() || !a.state.Holds(now, Named{User: "bob"}.Reaches()) {
				t.Error("it does not go on")
			}
			// What the issuer says now may be what it had not heard itself. A forged event has no time: it is of any.
			faulty := !strings.HasPrefix(name, "about")
			if a.untouched("bob", 1000) || a.untouched("bob", 1060) || a.untouched("bob", 1061) == faulty {
				t.Error("untouched:", a.untouched("bob", 1000), a.untouched("bob", 1060), a.untouched("bob", 1061))
			}
		})
	}
}

// TestForeignFreshness: a poll that was answered is not enough.
func TestForeignFreshness(t *testing.T) {
	t.Run("before the verification event", func(t *testing.T) {
		a := newAbroad(t)
		a.begins()
		for range 3 {
			a.polls(false, nil)
		}
		a.polls(false, sets(set("v", eventVerification, nil, map[string]any{"state": "another"})))
		q, _ := a.polledAbroad()
		if a.fresh() {
			t.Error("fresh without proof")
		}
		a.replies(q, false, a.verification())
		a.polls(false, nil)
		if !a.fresh() {
			t.Error("not fresh with it")
		}
	})
	t.Run("more is available", func(t *testing.T) {
		a := newAbroad(t)
		a.begins()
		a.polls(true, a.verification())
		q, _ := a.polledAbroad()
		if a.fresh() {
			t.Error("fresh before all was heard")
		}
		a.replies(q, false, nil)
	})
	t.Run("a later verification event that does not come", func(t *testing.T) {
		a := newAbroad(t)
		q := a.proves()
		a.clock = a.clock.Add(proofEvery)
		a.replies(q, false, nil)
		a.asksProof()
		q, _ = a.polledAbroad()
		a.clock = a.clock.Add(proofWait)
		a.replies(q, false, nil) // this poll was sent before it was late
		for range 3 {
			q, _ = a.polledAbroad()
			a.clock = a.clock.Add(2 * time.Second)
			a.replies(q, false, nil)
		}
		q, _ = a.polledAbroad()
		for _, more := range []bool{false, true} { // however long what was heard may be believed
			a.state.Heard(a.clock)
			a.replies(q, more, nil)
			q, _ = a.polledAbroad()
			if a.fresh() {
				t.Error("what was heard before is believed; more:", more)
			}
		}
		if a.fresh() || !strings.Contains(a.log.String(), "verification event does not come") {
			t.Errorf("fresh: %t; the operator is told:\n%s", a.fresh(), a.log)
		}
		// Nor does it count again while the next one is waited for.
		a.clock = a.clock.Add(proofEvery)
		a.replies(q, false, nil)
		a.asksProof()
		q, _ = a.polledAbroad()
		a.replies(q, false, nil)
		q, _ = a.polledAbroad()
		if a.fresh() {
			t.Error("fresh while a proof that failed is asked for again")
		}
		a.replies(q, false, a.verification())
		a.polls(false, nil)
		if !a.fresh() {
			t.Error("not fresh when it has come")
		}
	})
	t.Run("a stream that is stopped", func(t *testing.T) {
		a := newAbroad(t)
		q := a.proves()
		at, _ := a.state.Here()
		a.replies(q, false, sets(set("1", eventStreamUpdated, nil, map[string]any{"status": "paused"})))
		q, _ = a.polledAbroad()
		if a.fresh() {
			t.Error("fresh though the transmitter has stopped")
		}
		a.replies(q, false, nil)
		q, _ = a.polledAbroad()
		if a.fresh() {
			t.Error("an answer of a stopped stream counts")
		}
		a.replies(q, false, sets(set("2", eventStreamUpdated, nil, map[string]any{"status": "enabled"})))
		a.polls(false, nil)
		if !a.fresh() || a.state.Holds(at, Named{User: "bob"}.Reaches()) {
			t.Error("not fresh when it goes on, or what was cached before is believed")
		}
	})
	for name, answer := range map[string]*http.Response{
		"cut off": nil, "failing": respond(500, ""), "forbidden": respond(403, ""), "no sets": respond(200, "{}"),
		"no JSON": respond(200, "<html>"), "accepted": respond(202, "{}"), "a key that cannot be had": respond(200, `{"sets":{"1":"wait"}}`),
		"a panic": respond(200, `{"sets":{"1":"panic"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			a := newAbroad(t)
			q := a.proves()
			a.state.Lose() // so that it shows whether the answer makes it fresh
			q.reply <- answer
			q, r := a.polledAbroad()
			if a.fresh() || slices.Contains(r.Ack, "1") || len(r.SetErrs) > 0 {
				t.Errorf("fresh: %t, acknowledged %v, faulty %v", a.fresh(), r.Ack, r.SetErrs)
			}
			a.replies(q, false, nil)
			a.polls(false, nil)
			if !a.fresh() {
				t.Error("it does not go on")
			}
		})
	}
}

// TestForeignTokenEnds: a token that has ended is replaced, by time or when it is refused, and the stream goes on.
func TestForeignTokenEnds(t *testing.T) {
	a := newAbroad(t)
	q := a.proves()
	at, _ := a.state.Here()
	q.reply <- respond(401, "{}")
	a.token(100)
	a.polls(false, nil)
	q, _ = a.polledAbroad()
	a.clock = a.clock.Add(20 * time.Second)
	a.replies(q, false, nil)
	q, _ = a.polledAbroad()
	a.clock = a.clock.Add(71 * time.Second) // nine tenths of it
	a.replies(q, false, nil)
	a.token(100)
	a.asksProof()
	a.polls(false, a.verification())
	a.polls(false, nil)
	if !a.fresh() || !a.state.Holds(at, Named{User: "bob"}.Reaches()) {
		t.Error("not fresh, or something was forgotten")
	}
}

// TestAForeignStreamThatIsGone: everything is forgotten when a new one has been made, and nothing is fresh until then.
func TestAForeignStreamThatIsGone(t *testing.T) {
	a := newAbroad(t)
	q := a.proves()
	at, _ := a.state.Here()
	q.reply <- respond(404, "{}")
	q = a.next()
	if q.url != endpoint || a.fresh() {
		t.Fatalf("%s; fresh: %t", q.url, a.fresh())
	}
	q.reply <- respond(201, made)
	a.asksProof()
	a.polls(false, a.verification())
	a.polls(false, nil)
	if !a.fresh() || a.state.Holds(at, Named{User: "bob"}.Reaches()) {
		t.Error("not fresh, or what was cached before is believed")
	}
}
