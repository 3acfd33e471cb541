package tokenhandler

import (
	"crypto/cipher"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/phantomgate/phantomgate/plugins/policy"
)

// countingAEAD counts how often a key opens something, be it in vain.
type countingAEAD struct {
	cipher.AEAD
	opened *atomic.Int64
}

func (c countingAEAD) Open(dst, nonce, sealed, data []byte) ([]byte, error) {
	c.opened.Add(1)
	return c.AEAD.Open(dst, nonce, sealed, data)
}

// countOpenings counts what h's keys open from now on.
func countOpenings(h *Handler) *atomic.Int64 {
	opened := &atomic.Int64{}
	for i := range h.sealer.keys {
		h.sealer.keys[i].aead = countingAEAD{h.sealer.keys[i].aead, opened}
	}
	return opened
}

func codeOf(refusal *policy.Refusal) string {
	if refusal == nil {
		return ""
	}
	return refusal.Code
}

// place is a cookie, and the requests that need it.
type place struct {
	cookie   string
	purpose  purpose
	requests [][2]string // method and path
}

var places = []place{
	{"__Host-shop-at", forAccess, [][2]string{{"GET", "/api/orders"}, {"POST", "/api/orders"}, {"GET", agentPath + "/session"}, {"GET", agentPath + "/claims"}, {"GET", agentPath + "/userInfo"}, {"POST", agentPath + "/refresh"}}},
	{"__Host-shop-rt", forRefresh, [][2]string{{"GET", agentPath + "/session"}, {"GET", agentPath + "/claims"}, {"POST", agentPath + "/refresh"}}},
	{"__Host-shop-id", forIdentity, [][2]string{{"GET", agentPath + "/session"}, {"GET", agentPath + "/claims"}, {"POST", agentPath + "/refresh"}}},
	{"__Host-shop-csrf", forCSRF, [][2]string{{"POST", "/api/orders"}, {"GET", agentPath + "/session"}, {"GET", agentPath + "/claims"}, {"POST", agentPath + "/refresh"}}},
}

// answerTo gives everything that the answer to a request says: status, headers and body.
func (b *browser) answerTo(request [2]string) string {
	rec := httptest.NewRecorder()
	r := b.request(request[0], request[1], "")
	if !b.handler.ServeAgent(rec, r) {
		s, refusal := b.handler.Open(r, b.clock.Now())
		s.Response.Apply(rec.Header())
		if refusal == nil {
			return "passed"
		}
		refusal.Write(rec)
	}
	return fmt.Sprint(rec.Code, rec.Header(), rec.Body)
}

// askedInAll counts what the issuer was asked.
func (w *walk) askedInAll() (n int) {
	for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/userinfo"} {
		n += len(w.issuer.asked(path))
	}
	return n
}

// TestEveryBitOfEveryCookieCounts flips each bit of each cookie of a session, wherever that cookie is needed. Nothing passes,
// and all answers are one and the same.
func TestEveryBitOfEveryCookieCounts(t *testing.T) {
	w := newWalk(t)
	alice := w.loggedIn()
	for _, p := range places {
		for _, request := range p.requests {
			b := alice.another()
			if answer := b.answerTo([2]string{"GET", agentPath + "/session"}); !strings.HasPrefix(answer, "200 ") {
				t.Fatalf("before anything was changed: %s", answer)
			}
			asked, first := w.askedInAll(), ""
			honest := alice.cookies[p.cookie]
			for i := range honest {
				for bit := range 8 {
					flipped := []byte(honest)
					flipped[i] ^= 1 << bit
					b.cookies[p.cookie] = string(flipped)
					answer := b.answerTo(request)
					if first == "" {
						first = answer
					}
					if !strings.HasPrefix(answer, "401 ") || strings.Contains(answer, "Set-Cookie") || answer != first {
						t.Errorf("%s, bit %d of character %d at %s %s: %s; the first one got %s", p.cookie, bit, i, request[0], request[1], answer, first)
					}
				}
			}
			if w.askedInAll() != asked {
				t.Errorf("%s at %s: the issuer was asked", p.cookie, request[1])
			}
		}
	}
}

// faultyValues returns what can stand in place of one of b's cookies, all of it as long as a cookie of its kind, and each with
// another fault: changed, put together from two, another session's, another cookie's, and sealed elsewhere for the very same
// session.
func faultyValues(t *testing.T, b *browser, p place) map[string]string {
	honest, other := b.cookies[p.cookie], b.loggedIn().cookies[p.cookie]
	text := strings.Repeat("x", 60)
	values := map[string]string{"spliced": honest[:len(honest)/2] + other[len(honest)/2:]}
	for _, at := range []int{1, 3, 9, 20, len(honest) / 2, len(honest) - 8, len(honest) - 1} {
		c := byte('A')
		if honest[at] == c {
			c = 'B'
		}
		values[fmt.Sprintf("changed at %d", at)] = honest[:at] + string(c) + honest[at+1:]
	}
	values["a letter that is none"] = honest[:9] + "~" + honest[10:]
	if p.purpose != forAccess { // another session's access cookie is that session
		values["another session's"] = other
	}
	stamp := stampOf(t, b)
	for _, q := range []purpose{forAccess, forRefresh, forIdentity, forCSRF} {
		if q != p.purpose {
			values["the cookie "+suffixes[q]+" in its place"] = sealedBy(t, b.handler, q, &stamp, text)
		}
	}
	for name, change := range map[string]func(*Config){
		"another tenant's":      func(c *Config) { c.Tenant = "other" },
		"another app's":         func(c *Config) { c.CookiePrefix = "shoq" },
		"of a key that is gone": func(c *Config) { c.CookieKeys = []Key{testKey("2025-12", 9)} },
		"of a renamed key":      func(c *Config) { c.CookieKeys = []Key{testKey("2025-12", 1)} },
		"of a key of its name":  func(c *Config) { c.CookieKeys = []Key{testKey("2026-01", 9)} },
	} {
		values[name] = sealedBy(t, b.replica(change), p.purpose, &stamp, text)
	}
	return values
}

// sealedBy seals a text as h would for p's cookie.
func sealedBy(t *testing.T, h *Handler, p purpose, s *stamp, text string) string {
	t.Helper()
	lines, _, err := h.sealed(p, s, []byte(text), &jar{})
	if err != nil {
		t.Fatal(err)
	}
	c, err := http.ParseSetCookie(lines[0])
	if err != nil {
		t.Fatal(err)
	}
	return c.Value
}

// TestFaultsTakeTheSameWork: what is wrong with a cookie is told neither by the answer nor by the time that it takes. What takes
// time is opening, and asking the issuer: whatever the fault of a cookie, as many are opened, and nobody is asked. So it is for
// a handler that has seen nothing before, and for one that knows the honest cookies by heart.
func TestFaultsTakeTheSameWork(t *testing.T) {
	for _, warm := range []bool{false, true} {
		for _, p := range places {
			w := newWalk(t)
			b := w.loggedIn()
			faults := faultyValues(t, b, p)
			for _, request := range p.requests {
				first, firstOpened := "", int64(0)
				for _, name := range slices.Sorted(maps.Keys(faults)) {
					w.handler = w.replica()
					bad := b.another()
					if warm && bad.answerTo([2]string{"POST", "/api/orders"}) != "passed" {
						t.Fatal("the honest cookies are refused")
					}
					known, asked, opened := w.handler.openings.known(), w.askedInAll(), countOpenings(w.handler)
					bad.cookies[p.cookie] = faults[name]
					answer := bad.answerTo(request)
					if first == "" {
						first, firstOpened = answer, opened.Load()
					}
					if !strings.HasPrefix(answer, "401 ") || answer != first {
						t.Errorf("%s %s at %s: %s; the first one got %s", p.cookie, name, request[1], answer, first)
					}
					if n := opened.Load(); n != firstOpened || n == 0 {
						t.Errorf("%s %s at %s (warm: %v): the keys were used %d times; %d for the first one", p.cookie, name, request[1], warm, n, firstOpened)
					}
					if w.askedInAll() != asked {
						t.Errorf("%s %s at %s: the issuer was asked", p.cookie, name, request[1])
					}
					if p.purpose == forAccess && w.handler.openings.known() != known {
						t.Errorf("%s %s at %s is kept", p.cookie, name, request[1])
					}
				}
			}
		}
	}
}
