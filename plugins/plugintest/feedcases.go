package plugintest

import (
	"net/http"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// heard makes a case of a gateway that hears the revocation feed, which it
// does before the check begins.
func heard(name string, check func(w *Walk), changes ...func(c *Config)) Case {
	return Case{Name: "feed/" + name, Config: func(c *Config) {
		delete(c.Issuer, "noFeed")
		c.Cache["maxAge"] = "5m"
		for _, change := range changes {
			change(c)
		}
	}, Check: func(w *Walk) {
		w.hears()
		check(w)
	}}
}

func (w *Walk) hears() {
	w.T.Helper()
	w.eventually("the gateway hears the feed", w.Issuer.FeedHeard)
}

// applies waits until the gateway says that it has applied all events: from
// then on no request may pass any more because of what they ended.
func (w *Walk) applies() {
	w.T.Helper()
	w.eventually("the gateway applies the events", w.Issuer.FeedApplied)
}

// cached grants a token and has the gateway cache it.
func (w *Walk) cached(token Token) (reference string) {
	w.T.Helper()
	if token.Scopes == nil {
		token.Scopes = []string{"eventcatalog.read"}
	}
	reference = w.Issuer.Grant(token)
	w.Passed(w.Get(Events, reference))
	w.hit(reference)
	return reference
}

// cachedSoon is cached for a gateway that may go without the feed for so short
// that it asks while it waits for the feed's next answer on a slow machine.
func (w *Walk) cachedSoon() (reference string) {
	w.T.Helper()
	reference = w.Issuer.GrantScopes("eventcatalog.read")
	w.eventually("the token is cached", func() bool { return w.isHit(reference) })
	return reference
}

func (w *Walk) isHit(reference string) bool {
	w.T.Helper()
	before := w.Issuer.AskedAbout(reference)
	w.Passed(w.Get(Events, reference))
	return w.Issuer.AskedAbout(reference) == before
}

// hit checks that the gateway answers without asking the issuer.
func (w *Walk) hit(reference string) {
	w.T.Helper()
	if !w.isHit(reference) {
		w.T.Error("the gateway asked about a token that it had cached")
	}
}

// asked checks that the gateway asks the issuer, and passes the token.
func (w *Walk) asked(reference string) {
	w.T.Helper()
	before := w.Issuer.AskedAbout(reference)
	w.Passed(w.Get(Events, reference))
	if n := w.Issuer.AskedAbout(reference); n != before+1 {
		w.T.Errorf("the issuer was asked %d times about one request; want 1", n-before)
	}
}

func (w *Walk) isRevoked(reference string) {
	w.T.Helper()
	for range 2 {
		w.Refused(w.Get(Events, reference), http.StatusUnauthorized, "invalid_token")
	}
}

// feedCases: with the feed, tokens are cached for minutes, and one that is
// revoked is refused all the same.
func feedCases() []Case {
	return []Case{
		heard("a revoked token is refused though it is cached", func(w *Walk) {
			reference := w.cached(Token{})
			w.Issuer.Revoke(reference)
			w.applies()
			w.isRevoked(reference)
		}),
		heard("a revoked user's tokens are, on every route", func(w *Walk) {
			reference := w.cached(Token{Subject: "alice", Scopes: []string{"eventcatalog.read", "shoppingbasket.read"}})
			other := w.cached(Token{Subject: "alice"})
			w.Passed(w.Get(Basket, reference))
			w.Issuer.RevokeUser("alice")
			w.applies()
			w.isRevoked(reference)
			w.isRevoked(other)
			w.Refused(w.Get(Basket, reference), http.StatusUnauthorized, "invalid_token")
		}),
		heard("a revocation leaves the others cached", func(w *Walk) {
			mine, others := w.cached(Token{Subject: "alice"}), w.cached(Token{Subject: "bob"})
			for range 5 {
				w.Issuer.Revoke(w.Issuer.GrantScopes("eventcatalog.read"))
			}
			w.Issuer.Revoke(mine)
			w.applies()
			w.hit(others)
		}),
		heard("another tenant's revocations leave everything cached", func(w *Walk) {
			mine, others := w.cached(Token{Subject: "alice"}), w.cached(Token{Subject: "bob"})
			w.Issuer.RevokeElsewhere()
			w.applies()
			for range 3 {
				w.Issuer.RevokeElsewhere()
				w.Issuer.Revoke(mine)
				w.Issuer.RevokeElsewhere()
			}
			w.applies()
			w.isRevoked(mine)
			w.hit(others)
		}),
		heard("a token of after the revocation is another one", func(w *Walk) {
			w.cached(Token{Subject: "alice"})
			w.Issuer.RevokeUser("alice")
			w.applies()
			w.cached(Token{Subject: "alice"})
		}),
		heard("policy is judged on a hit all the same", func(w *Walk) {
			reference := w.cached(Token{ACR: "weak"})
			w.Refused(w.Get(Strong, reference), http.StatusUnauthorized, "insufficient_user_authentication")
			w.Refused(w.Do(w.Request("POST", Events, reference)), http.StatusForbidden, "insufficient_scope")
			w.hit(reference)
		}),
		heard("an answer that a revocation overtakes is not passed on", func(w *Walk) { overtaken(w, http.StatusUnauthorized) }),
		heard("an answer that another's revocation overtakes is", func(w *Walk) { overtaken(w, http.StatusOK) }),
		heard("100 at once ask the issuer once", coalesced),
		heard("an answer that cannot be followed is not cached", notFollowed),
		heard("nothing of it reaches API or client", keptInside),
		heard("a restarted gateway serves from no old cache", func(w *Walk) {
			reference, living := w.cached(Token{}), w.cached(Token{})
			w.Issuer.Revoke(reference)
			before := w.Issuer.FeedStreamsMade()
			w.start()
			w.isRevoked(reference)
			// The old gateway's stream may be there for a while: a gateway is heard of by its own.
			w.eventually("the new gateway makes a stream", func() bool { return w.Issuer.FeedStreamsMade() > before })
			w.hears()
			w.asked(living)
			w.hit(living)
		}),
	}
}

// notFollowed takes away what the gateway needs to match events with, or spoils
// it: then it asks each time.
func notFollowed(w *Walk) {
	for name, change := range map[string]func(http.Header){
		"no keys":      func(h http.Header) { h.Del("Revocation-Keys") },
		"no position":  func(h http.Header) { h.Del("Revocation-Position") },
		"another form": func(h http.Header) { h.Set("Revocation-Keys", "alice; generation=1") },
		"of yesterday": func(h http.Header) { h.Set("Revocation-Position", "epoch-0.1") },
	} {
		w.Issuer.Behave(Behaviour{Headers: change})
		reference := w.Issuer.GrantScopes("eventcatalog.read")
		for range 3 {
			before := w.Issuer.AskedAbout(reference)
			w.Passed(w.Get(Events, reference))
			if w.Issuer.AskedAbout(reference) != before+1 {
				w.T.Errorf("%s: the answer was cached", name)
			}
		}
	}
}

// keptInside looks for what the issuer told the gateway about revocations, on a
// miss and on a hit.
func keptInside(w *Walk) {
	reference := w.Issuer.GrantScopes("eventcatalog.read")
	for range 2 {
		answer := w.Get(Events, reference)
		got := w.Passed(answer)
		for name := range got.Claims() {
			if strings.Contains(strings.ToLower(name), "revocation") {
				w.T.Errorf("the JWT has a claim %s", name)
			}
		}
		for _, name := range []string{"Revocation-Keys", "Revocation-Position"} {
			if got.Header.Get(name) != "" || answer.Header.Get(name) != "" {
				w.T.Errorf("%s reached the upstream or the client", name)
			}
		}
	}
}

// overtaken has the issuer read a token and hold its answer back while
// somebody revokes: that token when the answer to be had is 401, or another.
func overtaken(w *Walk, status int) {
	hold := make(chan struct{})
	w.Issuer.Behave(Behaviour{Hold: hold})
	reference := w.Issuer.GrantScopes("eventcatalog.read")
	statuses := w.sendMany(3, reference)
	w.eventually("the issuer is asked", func() bool { return w.Issuer.AskedAbout(reference) > 0 })
	if status == http.StatusUnauthorized {
		w.Issuer.Revoke(reference)
	} else {
		w.Issuer.Revoke(w.Issuer.GrantScopes("eventcatalog.read"))
	}
	w.applies()
	close(hold)
	for _, got := range statuses() {
		if got != status {
			w.T.Errorf("answered %d; want %d", got, status)
		}
	}
	if status == http.StatusOK {
		w.hit(reference)
	} else {
		w.isRevoked(reference)
	}
}

// feedFaultCases: whatever befalls the feed, a revoked token passes no longer
// than the gateway may go without hearing it, and what the gateway may have
// missed is asked for.
func feedFaultCases() []Case {
	soon := func(c *Config) { c.Cache["maxStaleness"] = "1s" }
	cases := []Case{
		heard("silent: the issuer is asked each time", silent, soon),
		heard("silent, and the issuer is down: 503 with Retry-After, never 401", silentAndDown, soon),
		heard("silent: an answer is not shared with who comes later", silentAndLate, soon),
		heard("a route may go without it for longer, or shorter", staleRoutes, soon, func(c *Config) {
			c.Routes[0]["maxStaleness"] = "5m" // GET Events
			c.Routes[5]["maxStaleness"] = "1s" // Tree
		}),
		heard("failing: the issuer is asked each time", func(w *Walk) {
			reference := w.cachedSoon()
			w.Issuer.Feed(FeedFaults{Status: http.StatusServiceUnavailable})
			w.Issuer.Revoke(reference)
			w.eventually("the revoked token is refused", func() bool {
				return w.Get(Events, reference).Status == http.StatusUnauthorized
			})
			w.isRevoked(reference)
		}, soon),
		heard("what comes twice, and in disorder, is applied once", func(w *Walk) {
			mine, others := w.cached(Token{Subject: "alice"}), w.cached(Token{Subject: "bob"})
			w.Issuer.Feed(FeedFaults{Deaf: true})
			for range 5 {
				w.Issuer.RevokeUser("alice")
			}
			w.eventually("the revoked token is refused", func() bool {
				return w.Get(Events, mine).Status == http.StatusUnauthorized
			})
			w.hit(others)
			w.Issuer.Feed(FeedFaults{})
			w.applies()
			w.isRevoked(mine)
			w.hit(others)
		}),
	}
	return append(cases, forgottenCases()...)
}

// silent keeps the feed from saying anything, then lets it speak again.
func silent(w *Walk) {
	reference, living := w.cachedSoon(), w.cachedSoon()
	hold := make(chan struct{})
	w.Issuer.Feed(FeedFaults{Silent: hold})
	w.Issuer.Revoke(reference)
	w.eventually("the revoked token is refused", func() bool {
		return w.Get(Events, reference).Status == http.StatusUnauthorized
	})
	w.isRevoked(reference)
	for range 5 {
		w.asked(living)
	}
	close(hold)
	w.applies()
	w.isRevoked(reference)
	w.eventually("what is cached counts again", func() bool { return w.isHit(living) })
}

// silentAndDown takes the issuer away altogether. What was cached is served
// for as long as it may be, and then not, and nobody is logged out.
func silentAndDown(w *Walk) {
	reference := w.cachedSoon()
	w.Issuer.Down()
	w.eventually("the cache is not served any more", func() bool {
		r := w.Get(Events, reference)
		if r.Status != http.StatusOK && r.Status != http.StatusServiceUnavailable {
			w.T.Fatalf("answered %d for what could not be checked", r.Status)
		}
		return r.Status == http.StatusServiceUnavailable
	})
	passed := len(w.Upstream.Received())
	for range 20 {
		w.unavailable(w.Get(Events, reference))
	}
	if n := len(w.Upstream.Received()); n != passed {
		w.T.Error("something passed that could not be checked")
	}
	w.Issuer.Up(w.T)
	w.eventually("the gateway serves again", func() bool {
		r := w.Get(Events, reference)
		if r.Status == http.StatusUnauthorized {
			w.T.Fatal("answered 401 for what could not be checked")
		}
		return r.Status == http.StatusOK
	})
}

// silentAndLate: one asks, and the issuer has read the token and not answered
// yet; the token is revoked; then others come. Without the feed nobody can
// tell that the first one's answer is older than the revocation.
func silentAndLate(w *Walk) {
	reference := w.cachedSoon()
	silence := make(chan struct{})
	defer close(silence)
	w.Issuer.Feed(FeedFaults{Silent: silence})
	w.eventually("the feed counts as silent", func() bool { return !w.isHit(reference) })
	asked, hold := w.Issuer.AskedAbout(reference), make(chan struct{})
	w.Issuer.Behave(Behaviour{Hold: hold})
	first := w.sendMany(1, reference)
	w.eventually("the issuer is asked", func() bool { return w.Issuer.AskedAbout(reference) > asked })
	w.Issuer.Revoke(reference)
	w.Issuer.Behave(Behaviour{})
	later := w.sendMany(5, reference)
	close(hold)
	first()
	for _, status := range later() {
		if status != http.StatusUnauthorized {
			w.T.Errorf("who came after the revocation was answered %d; want 401", status)
		}
	}
}

// staleRoutes: the policy for an issuer that is not heard is each route's own.
func staleRoutes(w *Walk) {
	reference := w.cachedSoon()
	w.Passed(w.Get(Tree, reference))
	w.Issuer.Down()
	w.eventually("the strict route refuses", func() bool {
		return w.Get(Tree, reference).Status == http.StatusServiceUnavailable
	})
	for range 5 {
		w.unavailable(w.Get(Tree, reference))
		w.Passed(w.Get(Events, reference))
	}
}

// forgottenCases: something may have been missed. A token that was revoked
// unheard is refused; the others are asked for once, and cached again.
func forgottenCases() []Case {
	faulty := func(mint func(header map[string]any, claims jwt.MapClaims)) func(*Walk, string) {
		return func(w *Walk, reference string) {
			w.Issuer.Feed(FeedFaults{Mint: mint})
			w.Issuer.Revoke(reference)
		}
	}
	claim := func(name string, value any) func(*Walk, string) {
		return faulty(func(_ map[string]any, claims jwt.MapClaims) { claims[name] = value })
	}
	signed := func(sign func(k *keyring, header map[string]any, claims jwt.MapClaims) string) func(*Walk, string) {
		return func(w *Walk, reference string) {
			w.Issuer.Feed(FeedFaults{Sign: sign})
			w.Issuer.Revoke(reference)
		}
	}
	untold := func(then func(*Issuer)) func(*Walk, string) {
		return func(w *Walk, reference string) {
			hold := make(chan struct{}) // so that the event is not told before it is lost
			w.Issuer.Feed(FeedFaults{Silent: hold})
			w.Issuer.Revoke(reference)
			then(w.Issuer)
			w.Issuer.Feed(FeedFaults{})
			close(hold)
		}
	}
	histories := map[string]func(w *Walk, reference string){
		"a gap":                 untold((*Issuer).LoseEvents),
		"a reset":               untold((*Issuer).ResetStreams),
		"a new epoch":           untold((*Issuer).NewEpoch),
		"a stream that is gone": untold((*Issuer).ForgetStreams),
		"an event left out":     func(w *Walk, r string) { w.Issuer.Feed(FeedFaults{LeaveOut: true}); w.Issuer.Revoke(r) },
		"one left out amid another tenant's": func(w *Walk, r string) {
			w.Issuer.Feed(FeedFaults{LeaveOut: true})
			w.Issuer.RevokeElsewhere()
			w.Issuer.Revoke(r)
			w.Issuer.RevokeElsewhere()
		},
		"faulty: another key's":    signed(signedByStranger),
		"faulty: altered":          signed(func(k *keyring, h map[string]any, c jwt.MapClaims) string { return alteredPayload(k, h, c) }),
		"faulty: no signature":     signed(unsigned),
		"faulty: alg none":         signed(algNone),
		"faulty: HMAC of a key":    signed(hmacOverPublicKey),
		"faulty: a phantom token":  faulty(func(header map[string]any, _ jwt.MapClaims) { header["typ"] = "at+jwt" }),
		"faulty: unknown kid":      faulty(func(header map[string]any, _ jwt.MapClaims) { header["kid"] = "nobody's" }),
		"faulty: another issuer":   claim("iss", "https://elsewhere.example"),
		"faulty: another audience": claim("aud", "gateway-2"),
		"faulty: another id":       claim("jti", "epoch-1.1"),
		"faulty: no key":           claim("sub_id", map[string]any{"format": "email", "email": "alice@example.com"}),
		"faulty: no generation":    claim("events", map[string]any{eventRevoked: map[string]any{"sequence": firstSequence + 1}}),
	}
	names := make([]string, 0, len(histories))
	for name := range histories {
		names = append(names, name)
	}
	slices.Sort(names)
	var cases []Case
	for _, name := range names {
		cases = append(cases, heard(name+": everything is asked for again", func(w *Walk) {
			mine, living := w.cached(Token{Subject: "alice"}), w.cached(Token{Subject: "bob"})
			histories[name](w, mine)
			before := w.Issuer.FeedPolls()
			w.eventually("the gateway hears how it goes on", func() bool { return w.Issuer.FeedPolls() >= before+2 })
			w.isRevoked(mine)
			w.asked(living)
			w.hit(living)
			if faulty := strings.HasPrefix(name, "faulty"); faulty != (len(w.Issuer.FeedErrors()) == 1) {
				w.T.Errorf("the issuer is told of %d faulty events", len(w.Issuer.FeedErrors()))
			}
			w.Issuer.Feed(FeedFaults{})
			w.Issuer.RevokeUser("bob")
			w.applies()
			w.isRevoked(living)
		}))
	}
	return cases
}
