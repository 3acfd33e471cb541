package tokenhandler

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// attack is a set of cookies that must be worth nothing.
type attack struct {
	name    string
	cookies map[string]string
}

// attacks returns what can be made of honest cookies without the key.
func attacks(t testing.TB, w *walk) (all []attack) {
	alice := w.loggedIn()
	add := func(name string, change func(c map[string]string)) {
		c := maps.Clone(alice.cookies)
		change(c)
		all = append(all, attack{name, c})
	}
	const at, csrf, rt = "__Host-shop-at", "__Host-shop-csrf", "__Host-shop-rt"
	value := alice.cookies[at]
	if len(value[1:])%4 == 0 {
		t.Fatal("the last character has no unused bits to flip: make the issuer's references longer by one")
	}
	for i := range value {
		for _, bit := range []byte{1, 2, 4, 16, 32} {
			flipped := []byte(value)
			flipped[i] ^= bit
			add(fmt.Sprintf("bit %d of character %d", bit, i), func(c map[string]string) { c[at] = string(flipped) })
		}
	}
	// Not every flip of a letter's bits is one of the bits it stands for: those that stand for nothing get an attack of their own.
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	add("an unused bit of the last character", func(c map[string]string) {
		last := len(value) - 1
		c[at] = value[:last] + string(digits[strings.IndexByte(digits, value[last])^1])
	})
	for _, cut := range []int{0, 1, 2, 5, 30, len(value) - 1} {
		add(fmt.Sprintf("cut at %d", cut), func(c map[string]string) { c[at] = value[:cut] })
	}
	for _, more := range []string{"A", "=", "AAAA", value} {
		add("more at the end", func(c map[string]string) { c[at] += more })
	}
	add("front of one, end of another login's", func(c map[string]string) {
		other := w.loggedIn().cookies[at]
		c[at] = value[:len(value)/2] + other[len(value)/2:]
	})
	for _, from := range []string{csrf, rt, "__Host-shop-id"} {
		add(from+" for the access cookie", func(c map[string]string) { c[at] = c[from] })
	}
	add("the login cookie for the access cookie", func(c map[string]string) {
		b := w.browser()
		b.start()
		c[at] = b.cookies["__Host-shop-login"]
	})
	for name, change := range map[string]func(*Config){
		"tenant":      func(c *Config) { c.Tenant = "other" },
		"prefix":      func(c *Config) { c.CookiePrefix = "shoq" },
		"key":         func(c *Config) { c.CookieKeys = []Key{testKey("2026-01", 9)} },
		"unknown key": func(c *Config) { c.CookieKeys = []Key{testKey("2025-12", 9)} },
		"renamed key": func(c *Config) { c.CookieKeys = []Key{testKey("2025-12", 1)} },
	} {
		foreign := w.replica(change)
		add("another "+name, func(c map[string]string) {
			stamp := newStamp(w.clock.Now(), time.Hour, "", "")
			lines, _, err := foreign.sealTokens(&session{stamp: stamp, access: access{reference: "x", expires: 1 << 50, renew: 1 << 50}}, &jar{})
			if err != nil {
				t.Fatal(err)
			}
			parsed, err := http.ParseSetCookie(lines[0])
			if err != nil {
				t.Fatal(err)
			}
			c[at] = parsed.Value
		})
	}
	return all
}

// Every fault of the access cookie gets one and the same answer: from the gateway, and from the agent.
func TestCookieFaultsAreAllOne(t *testing.T) {
	w := newWalk(t)
	for _, path := range []string{"/api/orders", agentPath + "/claims", agentPath + "/userInfo", agentPath + "/session"} {
		first := ""
		for _, a := range attacks(t, w) {
			b := w.browser()
			b.cookies = a.cookies
			rec := httptest.NewRecorder()
			r := b.request(http.MethodGet, path, "")
			if !w.handler.ServeAgent(rec, r) {
				s, refusal := w.handler.Open(r, w.clock.Now())
				if refusal == nil {
					t.Fatalf("%s passed", a.name)
				}
				s.Response.Apply(rec.Header())
				refusal.Write(rec)
			}
			if path == agentPath+"/session" && a.cookies["__Host-shop-at"] == "" {
				continue // without a cookie there is no session, which is no fault
			}
			got := fmt.Sprint(rec.Code, rec.Header(), rec.Body)
			if first == "" {
				first = got
			}
			if rec.Code != http.StatusUnauthorized || got != first {
				t.Errorf("%s at %s: %s; want %s", a.name, path, got, first)
			}
		}
	}
	if n := len(w.issuer.asked("/oauth/userinfo")); n > 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

// Cookies of two logins do not go together, whichever is exchanged, wherever two are used.
func TestCookiesOfTwoLogins(t *testing.T) {
	w := newWalk(t)
	alice, bob := w.loggedIn(), w.loggedIn()
	for _, name := range []string{"__Host-shop-at", "__Host-shop-rt", "__Host-shop-id", "__Host-shop-csrf"} {
		mixed := alice.another()
		mixed.cookies[name] = bob.cookies[name]
		mixed.get("/claims").fails(http.StatusUnauthorized, "unauthorized_request")
		mixed.get("/session").fails(http.StatusUnauthorized, "unauthorized_request")
		for _, csrf := range []string{alice.csrf, bob.csrf} {
			mixed.csrf = csrf
			mixed.post("/refresh", "").fails(http.StatusUnauthorized, "unauthorized_request")
		}
	}
	mixed := alice.another()
	mixed.cookies["__Host-shop-csrf"], mixed.csrf = bob.cookies["__Host-shop-csrf"], bob.csrf
	if _, refusal, _ := mixed.api(http.MethodPost); refusal == nil || refusal.Status != http.StatusUnauthorized {
		t.Errorf("an API's POST with another login's CSRF cookie: %v", refusal)
	}
	if n := len(w.issuer.asked("/oauth/token")); n != 2 {
		t.Errorf("the token endpoint was asked %d times; want the 2 logins", n)
	}
}

func TestPurposeOf(t *testing.T) {
	for p, suffix := range suffixes {
		if got := purposeOf(suffix); got != purpose(p) {
			t.Errorf("%s is the cookie of purpose %d; want %d", suffix, got, p)
		}
	}
	for _, other := range []string{"", "a", "AT", "at-", "csrf2"} {
		if purposeOf(other) != purposes {
			t.Errorf("%q has a purpose", other)
		}
	}
}

func TestDoubledCookie(t *testing.T) {
	b := newWalk(t).loggedIn()
	twice := func(r *http.Request) { r.Header.Add("Cookie", "__Host-shop-at="+b.cookies["__Host-shop-at"]) }
	if _, refusal, _ := b.api(http.MethodGet, twice); refusal == nil {
		t.Error("a cookie that came twice passed")
	}
}

// HTTP/2 may send each cookie in a header of its own.
func TestSplitCookieHeaders(t *testing.T) {
	b := newWalk(t).loggedIn()
	split := func(r *http.Request) {
		pairs := strings.Split(r.Header.Get("Cookie"), "; ")
		r.Header["Cookie"] = append(pairs, "other=1;  strange", "", "=;=")
	}
	if _, refusal, _ := b.api(http.MethodPost, split); refusal != nil {
		t.Errorf("split cookies: %v", refusal)
	}
}

func TestChunks(t *testing.T) {
	w := newWalk(t)
	w.issuer.claims = func(c jwt.MapClaims) { c["address"] = strings.Repeat("street ", 600) }
	b := w.loggedIn()
	if b.cookies["__Host-shop-id-1"] == "" {
		t.Fatal("the claims are not in chunks")
	}
	if got := b.get("/claims").is(http.StatusOK).json()["address"]; got != strings.Repeat("street ", 600) {
		t.Error("the claims do not come back whole")
	}
	total := 0
	for name, value := range b.cookies {
		total += cookieSize(name, value)
	}
	if total > maxCookies {
		t.Errorf("the cookies take %d bytes", total)
	}
	for name, change := range map[string]func(c map[string]string){
		"second chunk missing": func(c map[string]string) { delete(c, "__Host-shop-id-1") },
		"second chunk damaged": func(c map[string]string) { c["__Host-shop-id-1"] = "A" + c["__Host-shop-id-1"][1:] + "A" },
		"chunks exchanged": func(c map[string]string) {
			c["__Host-shop-id"], c["__Host-shop-id-1"] = c["__Host-shop-id-1"], c["__Host-shop-id"]
		},
		"one chunk pretended": func(c map[string]string) { c["__Host-shop-id"] = "1" + c["__Host-shop-id"][1:] },
		"three chunks, a third": func(c map[string]string) {
			c["__Host-shop-id"] = "3" + c["__Host-shop-id"][1:]
			c["__Host-shop-id-2"] = "AAAA"
		},
		"a number too high": func(c map[string]string) { c["__Host-shop-id"] = "9" + c["__Host-shop-id"][1:] },
		"no number":         func(c map[string]string) { c["__Host-shop-id"] = "x" + c["__Host-shop-id"][1:] },
	} {
		bad := b.another()
		change(bad.cookies)
		if a := bad.get("/claims"); a.status != http.StatusUnauthorized {
			t.Errorf("%s: answered %d", name, a.status)
		}
	}
	// A smaller session in the same browser leaves no chunk behind, and a stale one does no harm.
	w.issuer.behave(func() { w.issuer.claims = nil })
	stale := b.cookies["__Host-shop-id-1"]
	b.login()
	if b.cookies["__Host-shop-id-1"] != "" {
		t.Error("a chunk is left behind")
	}
	b.cookies["__Host-shop-id-1"] = stale
	b.get("/claims").is(http.StatusOK)
	b.post("/logout", "").is(http.StatusOK).clears()
	if len(b.cookies) > 0 {
		t.Errorf("left after logout: %v", slices.Collect(maps.Keys(b.cookies)))
	}
}

func TestKeyRotationLogsNobodyOut(t *testing.T) {
	w := newWalk(t)
	b := w.loggedIn()
	oldKey := b.another()
	w.handler = w.replica(func(c *Config) { c.CookieKeys = []Key{testKey("2026-02", 2), testKey("2026-01", 1)} })
	if _, refusal, _ := b.api(http.MethodPost); refusal != nil {
		t.Fatalf("the new keys do not open the old cookies: %v", refusal)
	}
	b.post("/refresh", "").is(http.StatusNoContent)
	if b.cookies["__Host-shop-at"][:10] == oldKey.cookies["__Host-shop-at"][:10] {
		t.Error("a refresh did not seal with the new key")
	}
	if _, refusal, _ := b.api(http.MethodPost); refusal != nil {
		t.Fatalf("cookies of two keys in one session: %v", refusal)
	}
	fresh := w.loggedIn()
	w.handler = w.replica(func(c *Config) { c.CookieKeys = []Key{testKey("2026-02", 2)} })
	if _, refusal, _ := oldKey.api(http.MethodGet); refusal == nil {
		t.Error("a key that was removed still opens")
	}
	if _, refusal, _ := fresh.api(http.MethodPost); refusal != nil {
		t.Errorf("the new key's session ended with the old key: %v", refusal)
	}
}

func TestStripCookies(t *testing.T) {
	h := newWalk(t).handler
	for _, c := range []struct {
		cookies, keep, want []string
	}{
		{[]string{"a=1; __Host-shop-at=x; b=2"}, nil, nil},
		{[]string{"a=1; __Host-shop-at=x; b=2"}, []string{"b"}, []string{"b=2"}},
		{[]string{"a=1; b=2", "c=3;__Host-shop-at=x"}, []string{"a", "c"}, []string{"a=1; c=3"}},
		{[]string{"__Host-shop-at=x; __Host-shop-rt-1=y"}, []string{"__Host-shop-at", "__Host-shop-rt-1"}, nil},
		{[]string{"A=1;; =x; a"}, []string{"a"}, []string{"a"}},
	} {
		header := http.Header{"Cookie": c.cookies, "Accept": {"*/*"}}
		h.StripCookies(header, c.keep)
		if got := header["Cookie"]; !slices.Equal(got, c.want) {
			t.Errorf("%q, keeping %q: %q; want %q", c.cookies, c.keep, got, c.want)
		}
		if header["Accept"] == nil {
			t.Errorf("headers are %v", header)
		}
	}
}

func FuzzCookie(f *testing.F) {
	// Each of the fuzzer's processes has a key of its own, so that only its own cookie is honest.
	w := newWalk(f, func(c *Config) { _, _ = rand.Read(c.CookieKeys[0].Secret) })
	b := w.loggedIn()
	honest := b.cookies["__Host-shop-at"]
	for _, seed := range []string{"", "1", "2", honest, honest[1:], honest + "=", b.cookies["__Host-shop-rt"], "1AQ", "; __Host-shop-at=", "\"" + honest + "\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequest(http.MethodGet, "/api/orders", nil)
		r.Header["Cookie"] = []string{"__Host-shop-at=" + value}
		s, refusal := w.handler.Open(r, w.clock.Now())
		// What stands after a semicolon is another cookie, and blanks around a value are not part of it.
		same := strings.Trim(strings.SplitN(value, ";", 2)[0], " \t") == honest
		if refusal == nil && !same {
			t.Fatalf("%q passed", value)
		}
		if refusal != nil && (refusal.Status != http.StatusUnauthorized || s.Reference != "") {
			t.Fatalf("%q: %v, %q", value, refusal, s.Reference)
		}
	})
}
