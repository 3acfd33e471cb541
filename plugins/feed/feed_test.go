package feed

import (
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestWire: what is sent, and where to. The poll goes below the configured endpoint, whatever the issuer says.
func TestWire(t *testing.T) {
	s := newScripted(t)
	a := s.next()
	const want = `{"delivery":{"method":"urn:ietf:rfc:8936"},"events_requested":["https://schemas.openid.net/secevent/caep/event-type/session-revoked",` +
		`"https://schemas.openid.net/secevent/ssf/event-type/verification","https://phantomgate.dev/secevent/event-type/reset"],"description":"replica-1"}`
	if a.method != "POST" || a.url != endpoint || a.body != want {
		t.Errorf("%s %s %s", a.method, a.url, a.body)
	}
	if a.authorization != "Basic Z2F0ZSt3YXk6Y2FuYXJ5JTNBc2VjcmV0" { // gate+way:canary%3Asecret
		t.Errorf("authorization %s", a.authorization)
	}
	a.reply <- respond(201, `{"stream_id":"st/1","delivery":{"endpoint_url":"http://elsewhere.example/poll"}}`)
	first, _ := s.polled()
	if first.url != endpoint+"/st%2F1/poll" || first.body != `{"maxEvents":1000,"returnImmediately":true}` {
		t.Errorf("%s %s", first.url, first.body)
	}
	first.reply <- page("e", 5, 5, nil, false)
	second, _ := s.polled()
	if second.body != `{"maxEvents":1000,"returnImmediately":false,"position":"e.5"}` {
		t.Error(second.body)
	}
	second.reply <- page("e", 5, 5, nil, false)
	s.polled()
	closed := make(chan error, 1)
	go func() { closed <- s.feed.Close() }()
	last := s.next()
	if last.method != "DELETE" || last.url != endpoint+"?stream_id=st%2F1" {
		t.Errorf("the end: %s %s", last.method, last.url)
	}
	last.reply <- respond(204, "")
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if s.feed.State().Fresh(time.Now(), time.Hour) {
		t.Error("fresh after Close")
	}
}

// TestClosedWhileItsStreamIsMade: the stream is ended all the same, and an issuer that does not answer is not waited for long.
func TestClosedWhileItsStreamIsMade(t *testing.T) {
	for name, answers := range map[string]bool{"answered": true, "not answered": false} {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t)
			making := s.next()
			s.feed.stop() // as Close does at first
			if making.ctx.Err() != nil {
				t.Fatal("the making was cut off")
			}
			closed := make(chan error, 1)
			go func() { closed <- s.feed.Close() }()
			if answers {
				making.reply <- respond(201, `{"stream_id":"st"}`)
				last := s.next()
				if last.method != "DELETE" || last.url != endpoint+"?stream_id=st" {
					t.Errorf("the end: %s %s", last.method, last.url)
				}
				last.reply <- respond(204, "")
			}
			if err := <-closed; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEventsAreAppliedThenAcknowledged, in the order of their sequences, once, and what is not known does not matter.
func TestEventsAreAppliedThenAcknowledged(t *testing.T) {
	s := newScripted(t)
	state := s.feed.State()
	s.created("st")
	if r := s.answers("e", 40, 40, nil); len(r.Ack) != 0 {
		t.Errorf("acknowledged %v", r.Ack)
	}
	poll, _ := s.polled()
	mine, others := reachesOf(1, 0), reachesOf(2, 0)
	p := state.mustPlace(t, 40)
	if !state.Fresh(time.Now(), time.Minute) || !state.Holds(p, mine) {
		t.Fatal("not fresh, or does not hold")
	}
	unknown := func(claims map[string]any) {
		claims["events"] = map[string]any{"https://other.example/event": map[string]any{}}
	}
	a, rawA := revokes("e", 41, 7, 1)
	b, rawB := revokes("e", 42, 1, 1)
	c, rawC := revokes("e", 43, 9, 1, unknown)
	poll.reply <- page("e", 40, 43, sets(c, rawC, b, rawB, a, rawA, "e.vff", "not even signed"), false)

	poll, r := s.polled()
	slices.Sort(r.Ack)
	if !slices.Equal(r.Ack, []string{"e.41", "e.42", "e.43", "e.vff"}) || len(r.SetErrs) != 0 {
		t.Errorf("acknowledged %v, faulty %v", r.Ack, r.SetErrs)
	}
	if state.Holds(p, mine) || !state.Holds(p, others) {
		t.Error("acknowledged, and not applied")
	}
	// The acknowledgement got lost: it comes again, with a new one.
	d, rawD := revokes("e", 44, 2, 1)
	poll.reply <- page("e", 40, 44, sets(a, "changed", b, rawB, c, rawC, d, rawD), false)
	if r := s.settled("e", 44); len(r.Ack) != 4 || len(r.SetErrs) != 0 {
		t.Errorf("acknowledged %v, faulty %v", r.Ack, r.SetErrs)
	}
	if state.Holds(p, others) || !state.Holds(p, reachesOf(3, 0)) {
		t.Error("the new event among old ones")
	}
	if r := s.settled("e", 44); len(r.Ack) != 0 {
		t.Errorf("acknowledged once more: %v", r.Ack)
	}
}

// TestWhatMayBeMissingForgetsEverything, once, and goes on from there.
func TestWhatMayBeMissingForgetsEverything(t *testing.T) {
	for name, test := range map[string]struct {
		epoch    string
		from, to uint64
		sets     map[string]string
		errs     []string // reported as faulty
	}{
		"a gap":             {epoch: "e", from: 41, to: 42, sets: sets(revokes("e", 42, 7, 1))},
		"an empty gap":      {epoch: "e", from: 42, to: 42},
		"a hole":            {epoch: "e", from: 40, to: 42, sets: sets(revokes("e", 42, 7, 1))},
		"all left out":      {epoch: "e", from: 40, to: 1 << 62},
		"another epoch":     {epoch: "f", from: 3, to: 3},
		"at the same place": {epoch: "f", from: 40, to: 40},
		"a step back":       {epoch: "e", from: 30, to: 39},
		"a reset":           {epoch: "e", from: 40, to: 20_000, sets: sets("e.r20000", `good:{"iss":"https://issuer.example","aud":["gate way"],"jti":"e.r20000","events":{"https://phantomgate.dev/secevent/event-type/reset":{}}}`)},
		"a forged reset":    {epoch: "e", from: 40, to: 20_000, sets: sets("e.r20000", "x"), errs: []string{"e.r20000"}},
		"a forged event":    {epoch: "e", from: 40, to: 41, sets: sets("e.41", "x"), errs: []string{"e.41"}},
		"a forged one amid": {epoch: "e", from: 40, to: 42, sets: sets(slices.Concat(pair(revokes("e", 42, 7, 1)), []string{"e.41", "x"})...), errs: []string{"e.41"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t)
			state := s.feed.State()
			s.created("st")
			s.answers("e", 40, 40, nil)
			poll, _ := s.polled()
			p := state.mustPlace(t, 40)
			poll.reply <- page(test.epoch, test.from, test.to, test.sets, false)
			poll, r := s.polled()
			if state.Holds(p, reachesOf(3, 0)) || state.Holds(Position{p.Era, 1 << 62}, reachesOf(3, 0)) {
				t.Error("something is not forgotten")
			}
			if got := slices.Sorted(maps.Keys(r.SetErrs)); !slices.Equal(got, test.errs) || len(r.Ack)+len(got) != len(test.sets) {
				t.Errorf("acknowledged %v, faulty %v", r.Ack, got)
			}
			if !state.Fresh(time.Now(), time.Minute) {
				t.Error("not fresh, though everything that is not known was forgotten")
			}
			// What it could not use comes once more, as an issuer may do: that is no reason to forget again.
			now, known := state.Place(test.epoch, test.to)
			if !known {
				t.Fatal("the feed does not stand where the answer left it")
			}
			poll.reply <- page(test.epoch, test.from, test.to, test.sets, false)
			if r := s.settled(test.epoch, test.to); len(r.Ack) != len(test.sets) || len(r.SetErrs) != 0 {
				t.Errorf("the second time: acknowledged %v, faulty %v", r.Ack, r.SetErrs)
			}
			if test.from <= test.to && !state.Holds(now, reachesOf(3, 0)) {
				t.Error("what was read since was forgotten too")
			}
		})
	}
}

// TestAnotherTenantsAreSkipped: what the issuer says it left out is no gap, and what is in neither list is one.
func TestAnotherTenantsAreSkipped(t *testing.T) {
	for name, test := range map[string]struct {
		skipped []uint64
		sets    map[string]string
		missing bool
	}{
		"all":                   {skipped: []uint64{41, 42, 43}},
		"around one":            {skipped: []uint64{43, 41}, sets: sets(revokes("e", 42, 7, 1))},
		"one is lost among":     {skipped: []uint64{41, 43}, missing: true},
		"one is lost behind":    {skipped: []uint64{41, 42}, missing: true},
		"others than were left": {skipped: []uint64{40, 44}, missing: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t)
			state := s.feed.State()
			s.created("st")
			s.answers("e", 40, 40, nil)
			poll, _ := s.polled()
			p := state.mustPlace(t, 40)
			from, to := uint64(40), uint64(43)
			if test.sets == nil {
				test.sets = map[string]string{}
			}
			body, err := json.Marshal(answer{Sets: test.sets, Skipped: test.skipped, Epoch: "e", From: &from, To: &to})
			if err != nil {
				t.Fatal(err)
			}
			poll.reply <- respond(200, string(body))
			if r := s.settled("e", 43); r.Position != "e.43" {
				t.Errorf("the next poll says it is at %q", r.Position)
			}
			if got := !state.Holds(p, reachesOf(3, 0)); got != test.missing {
				t.Errorf("everything was forgotten: %t, want %t", got, test.missing)
			}
			if state.Holds(p, reachesOf(7, 0)) && len(test.sets) > 0 {
				t.Error("an event between was not applied")
			}
		})
	}
}

func pair(id, set string) []string { return []string{id, set} }

// TestEventsOfOthers: each is reported, and forgets everything: it may have been a revocation.
func TestEventsOfOthers(t *testing.T) {
	set := func(name string, value any) func(map[string]any) {
		return func(claims map[string]any) { claims[name] = value }
	}
	inEvent := func(name string, value any) func(map[string]any) {
		return func(claims map[string]any) {
			claims["events"].(map[string]any)[eventRevoked].(map[string]any)[name] = value
		}
	}
	for name, change := range map[string]func(map[string]any){
		"another issuer":    set("iss", testIssuer+"/"),
		"no issuer":         set("iss", nil),
		"another audience":  set("aud", "gateway-2"),
		"other audiences":   set("aud", []string{"a", "b"}),
		"no audience":       set("aud", nil),
		"an audience of 7":  set("aud", 7),
		"another jti":       set("jti", "e.42"),
		"no jti":            set("jti", nil),
		"no events":         set("events", nil),
		"no event":          set("events", map[string]any{}),
		"an event of null":  set("events", map[string]any{eventRevoked: nil}),
		"no generation":     inEvent("generation", nil),
		"generation 0":      inEvent("generation", 0),
		"a generation -1":   inEvent("generation", -1),
		"a generation 1.5":  inEvent("generation", 1.5),
		"another sequence":  inEvent("sequence", 1),
		"no sequence":       inEvent("sequence", nil),
		"no subject":        set("sub_id", nil),
		"another subject":   set("sub_id", map[string]any{"format": "email", "id": keyText(1)}),
		"a key that is not": set("sub_id", map[string]any{"format": "opaque", "id": "alice"}),
	} {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t)
			s.created("st")
			s.answers("e", 40, 40, nil)
			poll, _ := s.polled()
			p := s.feed.State().mustPlace(t, 40)
			poll.reply <- page("e", 40, 41, sets(revokes("e", 41, 1, 1, change)), false)
			if r := s.settled("e", 41); len(r.Ack) != 0 || r.SetErrs["e.41"].Err != "invalid_request" {
				t.Errorf("acknowledged %v, faulty %v", r.Ack, r.SetErrs)
			}
			if s.feed.State().Holds(p, reachesOf(3, 0)) || !strings.Contains(s.log.String(), "e.41") {
				t.Errorf("not forgotten, or not told:\n%s", s.log)
			}
		})
	}
}

// TestTroubleIsNotFreshness: after what is no answer nothing is applied, acknowledged or fresh, the next try waits, and the
// position is kept.
func TestTroubleIsNotFreshness(t *testing.T) {
	later := respond(503, "{}")
	later.Header.Set("Retry-After", "7")
	id, raw := revokes("e", 41, 1, 1)
	for name, test := range map[string]struct {
		answer *http.Response
		pause  time.Duration
	}{
		"cut off":               {nil, leastPause},
		"unavailable":           {later, 7 * time.Second},
		"failing":               {respond(500, ""), leastPause},
		"not let in":            {respond(401, "{}"), leastPause},
		"forbidden":             {respond(403, "{}"), leastPause},
		"redirected":            {respond(307, ""), leastPause},
		"accepted":              {respond(202, "{}"), leastPause},
		"no JSON":               {respond(200, "<html>"), leastPause},
		"nothing":               {respond(200, ""), leastPause},
		"an empty object":       {respond(200, "{}"), leastPause},
		"null":                  {respond(200, "null"), leastPause},
		"RFC 8936 alone":        {respond(200, `{"sets":{}}`), leastPause},
		"no sets":               {respond(200, `{"epoch":"e","from":40,"to":40}`), leastPause},
		"no epoch":              {respond(200, `{"sets":{},"from":40,"to":40}`), leastPause},
		"no to":                 {respond(200, `{"sets":{},"epoch":"e","from":40}`), leastPause},
		"backwards":             {respond(200, `{"sets":{},"epoch":"e","from":41,"to":40}`), leastPause},
		"negative":              {respond(200, `{"sets":{},"epoch":"e","from":-1,"to":40}`), leastPause},
		"without end":           {respond(200, strings.Repeat(" ", mostBody+1)), leastPause},
		"keys cannot be had":    {page("e", 40, 41, sets(id, "wait"), false), leastPause},
		"a reset, and the same": {page("e", 40, 99, sets("e.r99", "wait"), false), leastPause},
		"a panic":               {page("e", 40, 41, sets(id, "panic"), false), leastPause},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScripted(t)
			state := s.feed.State()
			s.created("st")
			s.answers("e", 40, 40, nil)
			poll, _ := s.polled()
			p := state.mustPlace(t, 40)
			state.Lose() // so that it shows whether the answer makes it fresh
			drain(s.pauses)
			poll.reply <- test.answer
			poll, r := s.polled()
			if pause := s.paused(); pause != test.pause {
				t.Errorf("paused %v, want %v", pause, test.pause)
			}
			if len(r.Ack)+len(r.SetErrs) != 0 || !r.ReturnImmediately {
				t.Errorf("asked %+v", r)
			}
			if state.Fresh(time.Now(), time.Hour) || !state.Holds(p, reachesOf(1, 0)) {
				t.Error("fresh, or something was applied")
			}
			poll.reply <- page("e", 40, 41, sets(id, raw), false)
			s.settled("e", 41)
			if !state.Fresh(time.Now(), time.Minute) || state.Holds(p, reachesOf(1, 0)) || !state.Holds(p, reachesOf(2, 0)) {
				t.Error("it did not go on where it was")
			}
			if n := strings.Count(s.log.String(), "is not heard"); n != 1 || !strings.Contains(s.log.String(), "heard again") {
				t.Errorf("the operator is told:\n%s", s.log)
			}
		})
	}
}

func drain(c chan time.Duration) {
	for len(c) > 0 {
		<-c
	}
}

// TestWhatIsMoreIsNotFresh: an answer that is not all makes nothing fresh.
func TestWhatIsMoreIsNotFresh(t *testing.T) {
	s := newScripted(t)
	s.created("st")
	s.answers("e", 40, 40, nil)
	poll, _ := s.polled()
	s.feed.State().Lose()
	poll.reply <- page("e", 40, 41, sets(revokes("e", 41, 1, 1)), true)
	poll, _ = s.polled()
	if s.feed.State().Fresh(time.Now(), time.Hour) {
		t.Error("fresh before all of it was heard")
	}
	poll.reply <- page("e", 41, 42, sets(revokes("e", 42, 1, 2)), false)
	s.polled()
	if !s.feed.State().Fresh(time.Now(), time.Minute) {
		t.Error("not fresh after all of it was heard")
	}
}

// TestPausesGrow, up to a bound, and end with an answer.
func TestPausesGrow(t *testing.T) {
	s := newScripted(t)
	for range 12 {
		s.next().reply <- respond(404, "") // an issuer without a feed
	}
	s.created("st")
	want := leastPause
	for n := range 12 {
		if got := s.paused(); got != want {
			t.Errorf("pause %d: %v, want %v", n, got, want)
		}
		want = min(2*want, mostPause)
	}
	if !strings.Contains(s.log.String(), "issuer.noFeed") {
		t.Errorf("the operator is not told what to do:\n%s", s.log)
	}
	s.answers("e", 1, 1, nil)
	poll, _ := s.polled()
	poll.reply <- respond(500, "")
	s.polled()
	if got := s.paused(); got != leastPause {
		t.Errorf("after an answer: %v", got)
	}
}

// TestHastyAnswersDoNotMakeATightLoop: an issuer that does not wait, or tells the same again and again.
func TestHastyAnswersDoNotMakeATightLoop(t *testing.T) {
	for name, again := range map[string]map[string]string{"empty": nil, "the same": sets(revokes("e", 40, 1, 1))} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			s := newScripted(t, func(c *Config) { c.Now = func() time.Time { return began } }) // every answer comes at once
			s.created("st")
			s.answers("e", 40, 40, nil)
			for range 10 {
				s.answers("e", 39, 40, again)
			}
			s.polled()
			if len(s.pauses) != 10 {
				t.Errorf("%d pauses after 10 answers", len(s.pauses))
			}
		})
	}
}

// TestAStreamThatIsGone: a new one is made, nothing is fresh until that has answered, and then everything is forgotten.
func TestAStreamThatIsGone(t *testing.T) {
	s := newScripted(t)
	state := s.feed.State()
	s.created("st-1")
	s.answers("e", 40, 40, nil)
	poll, _ := s.polled()
	p := state.mustPlace(t, 40)
	poll.reply <- page("e", 40, 41, sets(revokes("e", 41, 7, 1)), false)
	poll, _ = s.polled() // which acknowledges
	poll.reply <- respond(404, "{}")
	made := s.next()
	if state.Fresh(time.Now(), time.Hour) {
		t.Error("fresh without a stream")
	}
	made.reply <- respond(201, `{"stream_id":"st-2"}`)
	poll, r := s.polled()
	if len(r.Ack) != 0 || !r.ReturnImmediately || !strings.Contains(poll.url, "st-2") {
		t.Errorf("%s %+v", poll.url, r)
	}
	if state.Fresh(time.Now(), time.Hour) {
		t.Error("fresh before the new stream has answered")
	}
	poll.reply <- page("e", 41, 41, nil, false) // as if nothing had happened between
	s.polled()
	if state.Holds(p, reachesOf(3, 0)) || !state.Fresh(time.Now(), time.Minute) {
		t.Error("something was not forgotten, or it is not fresh")
	}
}

// TestSilenceEndsAPoll: one that is not answered in time is a failure.
func TestSilenceEndsAPoll(t *testing.T) {
	// Within the timeout the making of a stream has to be over too, once it is answered.
	s := newScripted(t, func(c *Config) { c.PollTimeout = 500 * time.Millisecond })
	s.next() // not even the making of a stream is answered
	s.created("st")
	first, _ := s.polled()
	second, _ := s.polled()
	if first.ctx.Err() == nil || s.feed.State().Fresh(time.Now(), time.Hour) {
		t.Error("the first poll is still waited for, or counts as heard")
	}
	second.reply <- page("e", 1, 1, nil, false)
}

// TestCloseEndsEverything, whatever the feed is doing, and more than once.
func TestCloseEndsEverything(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, reach := range []func(*scripted){
		func(*scripted) {}, // anywhere
		func(s *scripted) { s.next() },
		func(s *scripted) { s.created("st"); s.polled() },
		func(s *scripted) { s.next().reply <- respond(500, ""); s.next() },
	} {
		s := newScripted(t)
		reach(s)
		s.end()
		s.end()
	}
	f, err := New(newScriptedConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	f.Start() // does nothing any more
	f.Close()
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			all := make([]byte, 1<<20)
			t.Fatalf("goroutines are left:\n%s", all[:runtime.Stack(all, true)])
		}
	}
}

func newScriptedConfig(t *testing.T) (cfg Config) {
	s := newScripted(t, func(c *Config) { cfg = *c })
	s.end()
	return cfg
}

func TestNewRefusesHalfAConfig(t *testing.T) {
	_, err := New(Config{})
	for _, name := range []string{"Issuer", "Endpoint", "ClientID", "ClientSecret", "Verifier", "Logger", "Keep"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not missed: %v", name, err)
		}
	}
	if cfg := newScriptedConfig(t); strings.Contains(cfg.GoString()+cfg.String(), "canary") {
		t.Error("a Config shows its secret")
	}
}

// FuzzAnswer: whatever an issuer answers, and whatever its events say, nothing panics, and what was taken leaves the feed
// where the answer ends, or as it was.
func FuzzAnswer(f *testing.F) {
	id, raw := revokes("e", 41, 1, 1)
	for _, given := range []map[string]string{nil, sets(id, raw), sets(id, "wait"), sets("e.r41", raw), sets("e.40", raw, "x", "")} {
		body, err := json.Marshal(map[string]any{"sets": given, "epoch": "e", "from": 40, "to": 41})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(body))
	}
	f.Fuzz(func(t *testing.T, body string) {
		var a answer
		if json.Unmarshal([]byte(body), &a) != nil || a.check() != nil {
			return
		}
		feed, err := New(Config{
			Issuer: testIssuer, Endpoint: endpoint, ClientID: "gate way", ClientSecret: "s", Verifier: plainEvents{}, Keep: time.Minute,
			Logger: slog.New(slog.DiscardHandler), Now: time.Now,
		})
		if err != nil {
			t.Fatal(err)
		}
		feed.stream = stream{id: "st", placed: true, epoch: "e", applied: 40}
		feed.state.Forget("e", 40, time.Now())
		defer func() {
			if p := recover(); p != nil && !strings.Contains(body, "panic") {
				panic(p)
			}
		}()
		err = feed.take(t.Context(), a)
		if err == nil && (feed.applied != *a.To && feed.applied != 40 || len(feed.acks)+len(feed.errs) != len(a.Sets)) {
			t.Errorf("at %d after %s: acknowledged %v, faulty %v", feed.applied, body, feed.acks, feed.errs)
		}
	})
}
