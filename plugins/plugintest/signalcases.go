package plugintest

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// signalled makes a case of a gateway that hears a foreign issuer's feed,
// which it does before the check begins.
func signalled(name string, check func(w *Walk), changes ...func(c *Config)) Case {
	return Case{Name: "signals/" + name, Config: func(c *Config) {
		foreignKinds()[0].use(c)
		useSignals(c)
		for _, change := range changes {
			change(c)
		}
	}, Check: func(w *Walk) {
		w.eventually("the gateway hears the feed", w.Issuer.SignalsHeard)
		check(w)
	}}
}

// kept grants a foreign token, and has the gateway cache it.
func (w *Walk) kept(subject string) (reference string) {
	w.T.Helper()
	reference = w.Issuer.GrantForeign(Token{Subject: subject, Scopes: []string{eventsRead}})
	w.Passed(w.Get(Events, reference))
	w.hit(reference)
	return reference
}

// dies ends reference, tells it by this event, and waits until that has been
// applied.
func (w *Walk) dies(reference, event string, subject map[string]any) {
	w.T.Helper()
	w.Issuer.Revoke(reference)
	w.Issuer.Signal(event, subject, time.Now())
	w.eventually("the gateway applies the event", w.Issuer.SignalsHeard)
}

func (w *Walk) sub(id string) map[string]any {
	return map[string]any{"format": "iss_sub", "iss": w.Issuer.URL, "sub": id}
}

// session has the tokens that are asked for next be of this one.
func (w *Walk) session(id string) { w.Issuer.Behave(claimAs("sid", id)) }

const revokedSignal = caepEvents + "session-revoked"

// signalCases: with the feed of an issuer that is not phantomgate's, tokens
// are cached for a minute, and those that an event may mean are asked for.
func signalCases() []Case {
	posted := func(c *Config) { c.Issuer["clientAuth"] = "post" }
	cases := []Case{
		signalled("a revoked user's token is refused, another's is not asked for", func(w *Walk) {
			alice, bob := w.inSession("alice", "a1"), w.inSession("bob", "b1")
			w.dies(alice, revokedSignal, w.sub("alice"))
			w.isRevoked(alice)
			w.hit(bob)
		}),
		signalled("a revoked session's token is refused, another's is not asked for", func(w *Walk) {
			first, second := w.inSession("alice", "a1"), w.inSession("alice", "a2")
			w.dies(first, revokedSignal, opaque("a1"))
			w.isRevoked(first)
			w.hit(second)
		}),
		signalled("a session's event ends what does not say its session", func(w *Walk) {
			alice, bob := w.kept("alice"), w.inSession("bob", "b1")
			w.dies(alice, revokedSignal, opaque("a1"))
			w.isRevoked(alice)
			w.hit(bob)
		}),
		signalled("a subject of several parts is the user's", func(w *Walk) {
			alice, bob := w.inSession("alice", "a1"), w.inSession("bob", "b1")
			w.dies(alice, revokedSignal, map[string]any{"format": "complex", "session": opaque("of another name"), "user": w.sub("alice"), "tenant": opaque("t")})
			w.isRevoked(alice)
			w.hit(bob)
		}),
		signalled("changed claims and credentials are asked for", func(w *Walk) {
			for _, event := range []string{"token-claims-change", "credential-change", "of-tomorrow"} {
				alice, bob := w.inSession("alice-"+event, "a "+event), w.inSession("bob", "b "+event)
				w.dies(alice, caepEvents+event, w.sub("alice-"+event))
				w.isRevoked(alice)
				w.hit(bob)
			}
		}),
		signalled("an event of before a login, and of one, leave it cached", func(w *Walk) {
			alice := w.inSession("alice", "a1")
			w.Issuer.Signal(revokedSignal, w.sub("alice"), time.Now().Add(-time.Hour))
			w.Issuer.Signal(caepEvents+"session-established", w.sub("alice"), time.Now())
			w.eventually("the gateway applies the events", w.Issuer.SignalsHeard)
			w.hit(alice)
		}),
		signalled("what the issuer says after an event passes, and is not kept", func(w *Walk) {
			alice := w.inSession("alice", "a1")
			w.Issuer.Signal(caepEvents+"token-claims-change", w.sub("alice"), time.Now())
			w.eventually("the gateway applies the event", w.Issuer.SignalsHeard)
			for range 3 {
				w.asked(alice)
			}
		}),
		signalled("the secret in the form", func(w *Walk) { w.hit(w.kept("alice")) }, posted),
		signalled("silent: the issuer is asked each time", func(w *Walk) {
			alice, bob := w.kept("alice"), w.kept("bob")
			w.Issuer.Signals(SignalFaults{Silent: true})
			w.Issuer.Revoke(alice)
			w.eventually("the revoked token is refused", func() bool {
				return w.Get(Events, alice).Status == http.StatusUnauthorized
			})
			for range 3 {
				w.asked(bob)
			}
		}, func(c *Config) { c.Cache["maxStaleness"] = "2s" }),
		signalled("paused: the issuer is asked each time, until it goes on", func(w *Walk) {
			alice := w.kept("alice")
			w.Issuer.StreamStatus("paused")
			w.eventually("the gateway hears it", w.Issuer.SignalsHeard)
			for range 3 {
				w.asked(alice)
			}
			w.Issuer.StreamStatus("enabled")
			w.eventually("what is cached counts again", func() bool {
				before := w.Issuer.AskedAbout(alice)
				w.Passed(w.Get(Events, alice))
				return w.Issuer.AskedAbout(alice) == before
			})
		}),
		signalled("a token that has ended is replaced, and the stream goes on", func(w *Walk) {
			alice := w.kept("alice")
			before := w.Issuer.SignalTokens()
			w.Issuer.ForgetSignals(false, true)
			w.eventually("the gateway gets another token", func() bool { return w.Issuer.SignalTokens() == before+2 })
			w.hit(alice)
			w.dies(alice, revokedSignal, w.sub("alice"))
			w.isRevoked(alice)
		}),
		{Name: "signals/a stream that brings no proof is not believed", Prepare: func(w *Walk) {
			w.Issuer.Signals(SignalFaults{Unproven: true})
		}, Config: func(c *Config) { foreignKinds()[0].use(c); useSignals(c) }, Check: func(w *Walk) {
			w.eventually("the gateway hears the feed", w.Issuer.SignalsHeard)
			alice := w.Issuer.GrantForeign(Token{Scopes: []string{eventsRead}})
			for range 3 {
				w.asked(alice)
			}
		}},
	}
	return append(cases, unclearCases()...)
}

// inSession is kept of a token of this session.
func (w *Walk) inSession(subject, session string) string {
	w.T.Helper()
	w.session(session)
	defer w.Issuer.Behave(Behaviour{})
	return w.kept(subject)
}

// unclearCases: whom an event means cannot be told, or it was not heard. What
// was cached is asked for; after an event, of whomever, it is not kept either.
func unclearCases() []Case {
	about := func(subject map[string]any) func(w *Walk) {
		return func(w *Walk) { w.Issuer.Signal(revokedSignal, subject, time.Now()) }
	}
	faulty := func(faults SignalFaults) func(w *Walk) {
		return func(w *Walk) {
			w.Issuer.Signals(faults)
			w.Issuer.Signal(revokedSignal, w.sub("alice"), time.Now())
		}
	}
	claim := func(name string, value any) func(w *Walk) {
		return faulty(SignalFaults{Mint: func(_ map[string]any, claims jwt.MapClaims) { claims[name] = value }})
	}
	happens := map[string]func(w *Walk){
		"about an address":         about(map[string]any{"format": "email", "email": "alice@example.com"}),
		"about another's user":     about(map[string]any{"format": "iss_sub", "iss": "https://elsewhere.example", "sub": "alice"}),
		"about a JWT":              about(map[string]any{"format": "jwt_id", "iss": "https://elsewhere.example", "jti": "1"}),
		"about a device":           about(map[string]any{"format": "complex", "device": opaque("d1")}),
		"about nobody":             about(nil),
		"a stream that is gone":    func(w *Walk) { w.Issuer.ForgetSignals(true, false) },
		"faulty: another key's":    faulty(SignalFaults{Sign: signedByStranger}),
		"faulty: alg none":         faulty(SignalFaults{Sign: algNone}),
		"faulty: a phantom token":  faulty(SignalFaults{Mint: func(header map[string]any, _ jwt.MapClaims) { header["typ"] = "at+jwt" }}),
		"faulty: another issuer":   claim("iss", "https://elsewhere.example"),
		"faulty: another audience": claim("aud", "gateway-2"),
		"faulty: another id":       claim("jti", "event-0"),
	}
	var cases []Case
	for _, name := range slices.Sorted(maps.Keys(happens)) {
		cases = append(cases, signalled(name+": everything is asked for again", func(w *Walk) {
			alice, bob := w.kept("alice"), w.kept("bob")
			w.Issuer.Revoke(alice)
			happens[name](w)
			w.eventually("the revoked token is refused", func() bool {
				return w.Get(Events, alice).Status == http.StatusUnauthorized
			})
			w.eventually("the gateway hears how it goes on", w.Issuer.SignalsHeard)
			w.asked(bob)
			if name == "a stream that is gone" {
				w.hit(bob)
			} else {
				w.asked(bob)
			}
			if faulty := name[:5] == "fault"; faulty != (w.Issuer.SignalErrors() == 1) {
				w.T.Errorf("the transmitter is told of %d faulty events", w.Issuer.SignalErrors())
			}
		}))
	}
	return cases
}
