package tokenhandler

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
	"unsafe"
)

// known counts what is remembered.
func (o *openings) known() (n int) {
	for i := range o.sets {
		for j := range o.sets[i] {
			if o.sets[i][j].Load() != nil {
				n++
			}
		}
	}
	return n
}

// TestOpeningsAreBounded: however many values come, some thousands are kept, the newest among them.
func TestOpeningsAreBounded(t *testing.T) {
	o := newOpenings()
	value := func(i int) string { return fmt.Sprintf("value %08d", i) }
	const room = openingSets * openingWays
	for i := range 20 * room {
		o.put(value(i), &opening{purpose: forAccess})
		if o.get(forAccess, value(i)) == nil {
			t.Fatalf("value %d is not known when it was just kept", i)
		}
	}
	if n := o.known(); n > room || n < room/2 {
		t.Errorf("%d values are kept; %d was meant at most, and not many fewer", n, room)
	}
	old := 0
	for i := range room {
		if o.get(forAccess, value(i)) != nil {
			old++
		}
	}
	if old > room/100 {
		t.Errorf("%d of the oldest %d are still known", old, room)
	}
	if o.get(forCSRF, value(20*room-1)) != nil {
		t.Error("a value counts for another purpose")
	}
	long := strings.Repeat("x", longestOpening+1)
	if o.put(long, &opening{purpose: forAccess}); o.get(forAccess, long) != nil {
		t.Errorf("a value of %d bytes is kept", len(long))
	}
	if o.put("", &opening{purpose: forAccess}); o.get(forAccess, "") == nil {
		t.Error("an empty value is a value")
	}
}

// TestOnlyWhatOpensIsKept: made-up values leave nothing behind, and what is known of a session does not outlive it.
func TestOnlyWhatOpensIsKept(t *testing.T) {
	w := newWalk(t)
	browser := w.loggedIn()
	request := browser.request(http.MethodGet, "/api/orders", "")
	for range 2 {
		if _, refusal := w.handler.Open(request, w.clock.Now()); refusal != nil {
			t.Fatal(refusal)
		}
	}
	if n := w.handler.openings.known(); n != 1 {
		t.Errorf("one browser's requests leave %d opened values", n)
	}
	for _, a := range attacks(t, w) {
		bad := browser.request(http.MethodGet, "/api/orders", "")
		bad.Header.Del("Cookie")
		for name, value := range a.cookies {
			bad.AddCookie(&http.Cookie{Name: name, Value: value})
		}
		before := w.handler.openings.known()
		if _, refusal := w.handler.Open(bad, w.clock.Now()); refusal != nil && w.handler.openings.known() > before {
			t.Errorf("%s was refused, and is kept", a.name)
		}
	}
	browser.post("/logout", "").is(http.StatusOK)
	if _, refusal := w.handler.Open(request, w.clock.Now()); refusal == nil {
		t.Error("a known cookie outlives the logout of its session")
	}
}

// TestHitsAreJudgedAsMisses: all that can change about a session is judged when its cookies are known by heart, too. That they
// were is seen by the keys, which open nothing more.
func TestHitsAreJudgedAsMisses(t *testing.T) {
	type edits = []func(*http.Request)
	for name, c := range map[string]struct {
		change func(w *walk, b *browser)
		edits  edits
		code   string // "": it passes
	}{
		"nothing":                        {nil, nil, ""},
		"the session's end":              {func(w *walk, _ *browser) { w.clock.advance(8 * time.Hour) }, nil, codeExpired},
		"a logout in another tab":        {func(_ *walk, b *browser) { b.another().post("/logout", "").is(http.StatusOK) }, nil, codeExpired},
		"the issuer ends the session":    {func(w *walk, _ *browser) { w.logoutByIssuer("logout+jwt", without("sub")).is(http.StatusOK) }, nil, codeExpired},
		"the issuer ends all the user's": {func(w *walk, _ *browser) { w.logoutByIssuer("logout+jwt", without("sid")).is(http.StatusOK) }, nil, codeExpired},
		"a foreign origin":               {nil, edits{header("Origin", "https://evil.example")}, codeUnauthorized},
		"no CSRF header":                 {nil, edits{header("x-shop-csrf", "")}, codeUnauthorized},
		"a wrong CSRF header":            {nil, edits{header("x-shop-csrf", strings.Repeat("A", 43))}, codeUnauthorized},
		"another's CSRF cookie, known too": {func(w *walk, b *browser) {
			other := w.loggedIn()
			if _, refusal, _ := other.api(http.MethodPost); refusal != nil {
				w.t.Fatal(refusal)
			}
			b.cookies["__Host-shop-csrf"], b.csrf = other.cookies["__Host-shop-csrf"], other.csrf
		}, nil, codeUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWalk(t)
			b := w.loggedIn()
			for range 2 {
				if _, refusal, _ := b.api(http.MethodPost); refusal != nil {
					t.Fatal(refusal)
				}
			}
			if c.change != nil {
				c.change(w, b)
			}
			opened := countOpenings(w.handler)
			_, refusal, _ := b.api(http.MethodPost, c.edits...)
			if got := codeOf(refusal); got != c.code {
				t.Errorf("the refusal is %q; want %q", got, c.code)
			}
			if n := opened.Load(); n != 0 {
				t.Errorf("it was no hit: the keys opened %d cookies", n)
			}
		})
	}
}

// TestKnownCookieInAnotherPlace: a CSRF cookie that is known by heart is no access cookie, and the other way round.
func TestKnownCookieInAnotherPlace(t *testing.T) {
	const at, csrf = "__Host-shop-at", "__Host-shop-csrf"
	for _, to := range []string{at, csrf} {
		b := newWalk(t).loggedIn()
		if _, refusal, _ := b.api(http.MethodPost); refusal != nil {
			t.Fatal(refusal)
		}
		b.cookies[to] = b.cookies[map[string]string{at: csrf, csrf: at}[to]]
		if reference, refusal, _ := b.api(http.MethodPost); codeOf(refusal) != codeUnauthorized || reference != "" {
			t.Errorf("the other cookie in the place of %s: %q, %v", to, reference, refusal)
		}
	}
}

// TestOpeningsEndWithTheKeys: a handler that has a key no more knows nothing of what another one opened with it.
func TestOpeningsEndWithTheKeys(t *testing.T) {
	w := newWalk(t)
	b := w.loggedIn()
	if _, refusal, _ := b.api(http.MethodPost); refusal != nil {
		t.Fatal(refusal)
	}
	w.handler = w.replica(func(c *Config) { c.CookieKeys = []Key{testKey("2026-02", 2)} })
	if _, refusal, _ := b.api(http.MethodGet); codeOf(refusal) != codeUnauthorized {
		t.Errorf("after the key was removed: %v", refusal)
	}
}

// A known cookie is renewed like any other when its token is about to end.
func TestKnownCookieIsRenewed(t *testing.T) {
	w := newWalk(t)
	b := w.loggedIn()
	first, _, _ := b.api(http.MethodGet)
	w.clock.advance(280 * time.Second)
	if second, refusal, h := b.api(http.MethodGet); refusal != nil || second == first || len(h["Set-Cookie"]) != 2 {
		t.Errorf("%v, the same reference: %v, %d cookies", refusal, second == first, len(h["Set-Cookie"]))
	}
}

// TestOpeningsTakeFewBytes: all that is remembered is below 32 MiB.
func TestOpeningsTakeFewBytes(t *testing.T) {
	const longest = longestOpening + longestOpening*3/4 // a value, and what it opened to
	if all := openingSets * openingWays * (int(unsafe.Sizeof(opening{})) + longest); all > 32<<20 {
		t.Errorf("%d bytes", all)
	}
}

// TestHashIsOfTheReference: the cached token is found by it alone.
func TestHashIsOfTheReference(t *testing.T) {
	w := newWalk(t)
	b := w.loggedIn()
	var unknown [sha256.Size]byte
	open := func() Session {
		t.Helper()
		s, refusal := w.handler.Open(b.request(http.MethodGet, "/api/orders", ""), w.clock.Now())
		if refusal != nil {
			t.Fatal(refusal)
		}
		if s.Hash != unknown && s.Hash != sha256.Sum256([]byte(s.Reference)) {
			t.Errorf("that of %s is another's", s.Reference)
		}
		return s
	}
	first := open()
	if again := open(); first.Hash == unknown || again.Hash == unknown || again.Reference != first.Reference {
		t.Errorf("%+v, then %+v", first, again)
	}
	w.clock.advance(280 * time.Second)
	if renewed := open(); renewed.Reference == first.Reference {
		t.Errorf("%+v, renewed %+v", first, renewed)
	}
}
