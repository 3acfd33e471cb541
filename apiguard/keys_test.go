package apiguard_test

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"
)

func TestIssuerDownAtStart(t *testing.T) {
	for name, answer := range map[string]struct {
		status int
		body   string
	}{
		"down":               {http.StatusBadGateway, ""},
		"redirecting":        {http.StatusFound, ""},
		"not JSON":           {0, "<html>"},
		"no keys":            {0, `{"keys":[]}`},
		"only a shared key":  {0, `{"keys":[{"kty":"oct","kid":"k1","k":"AAAA"}]}`},
		"a set without end":  {0, `{"keys":[` + string(bytes.Repeat([]byte(" "), 1<<20)) + `]}`},
		"two keys of one id": {0, ""}, // filled in below
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if name == "two keys of one id" {
				r.issuer.publish(r.key.jwk(t), newES256(t, "k1").jwk(t))
			} else {
				r.issuer.answer(answer.status, []byte(answer.body))
			}
			h := r.guard(t, "eventcatalog.read")
			for range 5 {
				wantRefusal(t, call(h, "Bearer "+r.key.good(t)), http.StatusServiceUnavailable, "temporarily_unavailable")
			}
			if got := r.issuer.calls.Load(); got != 1 {
				t.Errorf("%d calls to a failing issuer within one interval, want 1", got)
			}
			r.issuer.answer(0, nil)
			r.issuer.publish(r.key.jwk(t))
			r.clock.advance(10 * time.Second)
			if resp := call(h, "Bearer "+r.key.good(t)); resp.StatusCode != http.StatusOK {
				t.Errorf("status %d after the issuer came up, want 200", resp.StatusCode)
			}
		})
	}
}

func TestRotation(t *testing.T) {
	r := newRig(t)
	h := r.guard(t, "eventcatalog.read")
	next := newES256(t, "k2")
	status := func(s signer) int { return call(h, "Bearer "+s.good(t)).StatusCode }

	if got := status(r.key); got != http.StatusOK {
		t.Fatalf("status %d, want 200", got)
	}
	// The issuer shows its next key well before signing with it. A key shown and used at once is refused for the rest of
	// the interval, which is the price of not letting strangers drive us to the issuer.
	r.issuer.publish(r.key.jwk(t), next.jwk(t))
	if got := status(next); got != http.StatusUnauthorized {
		t.Errorf("status %d within the interval, want 401", got)
	}
	r.clock.advance(10 * time.Second)
	if got := status(next); got != http.StatusOK {
		t.Errorf("status %d after the interval, want 200", got)
	}
	if got := status(r.key); got != http.StatusOK {
		t.Errorf("status %d for the old key while both are published, want 200", got)
	}
	// A withdrawn key stops being accepted once the set has aged.
	r.issuer.publish(next.jwk(t))
	r.clock.advance(15 * time.Minute)
	claims := goodClaims()
	claims["exp"] = r.clock.now().Add(time.Minute).Unix()
	if got := call(h, "Bearer "+r.key.sign(t, header("k1"), claims)).StatusCode; got != http.StatusUnauthorized {
		t.Errorf("status %d for a withdrawn key, want 401", got)
	}
}

func TestUnknownKeysDoNotLoadTheIssuer(t *testing.T) {
	r := newRig(t)
	h := r.guard(t, "eventcatalog.read")
	var wg sync.WaitGroup
	for i := range 50 {
		token := newES256(t, fmt.Sprint("made-up-", i)).good(t)
		wg.Go(func() { call(h, "Bearer "+token) })
	}
	wg.Wait()
	if got := r.issuer.calls.Load(); got != 1 {
		t.Errorf("50 tokens with made-up key ids made %d calls, want 1", got)
	}
	r.clock.advance(10 * time.Second)
	for i := range 50 {
		call(h, "Bearer "+newES256(t, fmt.Sprint("more-", i)).good(t))
	}
	if got := r.issuer.calls.Load(); got != 2 {
		t.Errorf("%d calls after another interval, want 2", got)
	}
}

func TestIssuerGoneLater(t *testing.T) {
	r := newRig(t)
	h := r.guard(t, "eventcatalog.read")
	fresh := func() string {
		claims := goodClaims()
		claims["iat"], claims["exp"] = r.clock.now().Unix(), r.clock.now().Add(time.Minute).Unix()
		return "Bearer " + r.key.sign(t, header("k1"), claims)
	}
	call(h, fresh())
	r.issuer.answer(http.StatusInternalServerError, nil)
	r.clock.advance(59 * time.Minute)
	if got := call(h, fresh()).StatusCode; got != http.StatusOK {
		t.Errorf("status %d with keys that are still usable, want 200", got)
	}
	r.clock.advance(time.Minute)
	wantRefusal(t, call(h, fresh()), http.StatusServiceUnavailable, "temporarily_unavailable")
}

func TestKeysThatCannotBeUsedAreLeftOut(t *testing.T) {
	r := newRig(t)
	forEncryption := newES256(t, "enc").jwk(t)
	forEncryption["use"] = "enc"
	r.issuer.publish(
		map[string]any{"kty": "FUTURE", "kid": "x"},
		map[string]any{"kty": "EC", "kid": "broken", "crv": "P-256", "x": "AA", "y": "AA"},
		forEncryption,
		r.key.jwk(t),
	)
	if resp := call(r.guard(t, "eventcatalog.read"), "Bearer "+r.key.good(t)); resp.StatusCode != http.StatusOK {
		t.Errorf("status %d, want 200: one odd key took the others with it", resp.StatusCode)
	}
}

// TestKeyPublishedWithItsPrivatePart: everybody can sign with it, so nothing it has signed is believed.
func TestKeyPublishedWithItsPrivatePart(t *testing.T) {
	r := newRig(t)
	leaked := newES256(t, "leaked")
	jwk := leaked.jwk(t)
	jwk["d"] = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"
	r.issuer.publish(jwk, r.key.jwk(t))
	h := r.guard(t, "eventcatalog.read")
	wantRefusal(t, call(h, "Bearer "+leaked.good(t)), http.StatusUnauthorized, "invalid_token")
	if resp := call(h, "Bearer "+r.key.good(t)); resp.StatusCode != http.StatusOK {
		t.Errorf("status %d for another key of the set, want 200", resp.StatusCode)
	}
}
