package plugintest

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// cacheCases: a cached token saves the issuer a question, and outlives
// neither its expiry, nor its revocation by more than the entry's life, nor
// the issuer's word on caching.
func cacheCases() []Case {
	return []Case{
		{Name: "cache/a hit asks nobody", Check: func(w *Walk) {
			reference := w.Issuer.GrantScopes("eventcatalog.read")
			const requests = 50
			for range requests {
				w.isSwapped(w.Passed(w.Get(Events, reference)))
			}
			// An entry may run out within the loop on a slow machine; not at every request.
			if n := w.Issuer.AskedAbout(reference); n > requests/2 {
				w.T.Errorf("%d requests made %d introspections", requests, n)
			}
		}},
		{Name: "cache/revoked is refused once the entry has run out", Check: revoked},
		{Name: "cache/never served past exp", Check: neverPastExp},
		{Name: "cache/no-store is not stored", Check: func(w *Walk) { notStored(w, "no-store") }},
		{Name: "cache/max-age=0 is not stored", Check: func(w *Walk) { notStored(w, "private, max-age=0") }},
		{Name: "cache/entries of two users never mix", Check: neverMixed},
		{Name: "cache/a failure is not remembered as an answer", Check: failureNotKept},
	}
}

// revoked: from the issuer's first "inactive" on nothing passes, and the
// gateway does come back to ask.
func revoked(w *Walk) {
	reference := w.Issuer.GrantScopes("eventcatalog.read")
	w.Passed(w.Get(Events, reference))
	w.Issuer.Revoke(reference)
	w.eventually("the revoked token is refused", func() bool {
		return w.Get(Events, reference).Status == http.StatusUnauthorized
	})
	for range 20 {
		w.Refused(w.Get(Events, reference), http.StatusUnauthorized, "invalid_token")
	}
}

// neverPastExp fills the cache up to the very second of expiry, with entries
// of every age, then tries them all: one that a cache keeps for its own time
// and not the token's is served late.
func neverPastExp(w *Walk) {
	expires := time.Now().Add(2 * time.Second).Truncate(time.Second)
	var references []string
	w.eventually("the tokens expire", func() bool {
		reference := w.Issuer.Grant(Token{Scopes: []string{"eventcatalog.read"}, Expires: expires})
		if w.Get(Events, reference).Status == http.StatusOK {
			references = append(references, reference)
		}
		return !time.Now().Before(expires)
	})
	if len(references) == 0 {
		w.T.Fatal("no token passed before it expired")
	}
	for _, reference := range slices.Backward(references) { // the youngest entries first
		if r := w.Get(Events, reference); r.Status != http.StatusUnauthorized {
			w.T.Fatalf("an expired token was answered %d; want 401", r.Status)
		}
	}
}

func notStored(w *Walk, cacheControl string) {
	w.Issuer.Behave(Behaviour{CacheControl: cacheControl})
	reference := w.Issuer.GrantScopes("eventcatalog.read")
	const requests = 5
	for range requests {
		w.Passed(w.Get(Events, reference))
	}
	if n := w.Issuer.AskedAbout(reference); n != requests {
		w.T.Errorf("the issuer said %s and was asked %d times for %d requests", cacheControl, n, requests)
	}
}

func neverMixed(w *Walk) {
	references := map[string]string{}
	for _, user := range strings.Fields("alice bob carol dave erin frank") {
		references[user] = w.Issuer.Grant(Token{Subject: user, Scopes: []string{"eventcatalog.read"}})
	}
	for range 5 {
		for user, reference := range references {
			if sub := w.Passed(w.Get(Events, reference)).Claims()["sub"]; sub != user {
				w.T.Fatalf("%s's reference was swapped for a token of %v", user, sub)
			}
		}
	}
}

// failureNotKept: an answer that failed verification is asked for again, and
// the good one that follows counts.
func failureNotKept(w *Walk) {
	reference := w.Issuer.GrantScopes("eventcatalog.read")
	w.Issuer.Behave(Behaviour{Mint: func(_ map[string]any, claims jwt.MapClaims) { claims["iss"] = "https://elsewhere.example" }})
	w.Refused(w.Get(Events, reference), http.StatusBadGateway, "issuer_error")
	w.Issuer.Behave(Behaviour{})
	w.Passed(w.Get(Events, reference))
}
