package gateway

import (
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// These measure a browser's request with cookies beside the same with a bearer token: one gateway, one user's one token behind
// the two, every other header alike, and the same clock. The two take turns in one run; "x-floor" is the median of the turns'
// ratios. The goal is 1.5, for a request that reads; one that writes brings a CSRF token, too.

func BenchmarkCachedCookie_1k(b *testing.B)     { benchmarkCookie(b, http.MethodGet) }
func BenchmarkCachedCookiePost_1k(b *testing.B) { benchmarkCookie(b, http.MethodPost) }

func benchmarkCookie(b *testing.B, method string) {
	cookie, bearer := cookieAndBearer(b, 1_000, method)
	besideFloor(b, cookie, bearer)
}

// TestCachedCookieAllocations: cookies that came before cost no allocation more than a bearer token.
func TestCachedCookieAllocations(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		cookie, bearer := cookieAndBearer(t, 3, method)
		for name, swap := range map[string]func(int){"cookies": cookie, "a bearer token": bearer} {
			warm(swap, 3)
			if n := testing.AllocsPerRun(100, once(swap)); n > 1 {
				t.Errorf("%s with %s: %v allocations, want 1 at most", method, name, n)
			}
		}
	}
}

// TestCookieAndBearerAreAlike: what the benchmark compares comes to the same at the API, and each by its own way.
func TestCookieAndBearerAreAlike(t *testing.T) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		users, r := newCookieUsers(t, 2, method)
		users.byCookie(r, 1)
		if r.Header["Cookie"] == nil || r.Header[authorization] != nil || (r.Header["X-Shop-Csrf"] != nil) != (method == http.MethodPost) {
			t.Errorf("%s with cookies: %v", method, r.Header)
		}
		users.swap(t, r)
		withCookie := r.Header.Clone()
		users.byBearer(r, 1)
		if r.Header["Cookie"] != nil || r.Header[authorization] == nil || r.Header["X-Shop-Csrf"] != nil {
			t.Errorf("%s with a bearer token: %v", method, r.Header)
		}
		users.swap(t, r)
		if !equalHeaders(r.Header, withCookie) || users.issuer.asked.Load() != 2 {
			t.Errorf("%s: the API gets %v, or %v with cookies; the issuer was asked %d times for 2 tokens", method, r.Header, withCookie, users.issuer.asked.Load())
		}
	}
}

// TestEachUserGetsTheirOwnToken, again and again, by cookies as by a bearer token, in whatever order they come.
func TestEachUserGetsTheirOwnToken(t *testing.T) {
	const n = 3
	issuer := newFakeIssuer(t, nil)
	issuer.tokenOf = func(reference string) string { return newFakeIssuer(t, jwt.MapClaims{"sub": reference}).token }
	users, r := newCookieUsersOf(t, issuer, n, http.MethodGet)
	for turn := range 20 * n {
		i := turn % n
		for way, bring := range map[string]func(*http.Request, int){"cookies": users.byCookie, "a bearer token": users.byBearer} {
			bring(r, i)
			users.swap(t, r)
			var got jwt.MapClaims
			if _, _, err := jwt.NewParser().ParseUnverified(strings.TrimPrefix(r.Header[authorization][0], "Bearer "), &got); err != nil {
				t.Fatal(err)
			}
			if want := strings.TrimPrefix(users.bearers[i][0], "Bearer "); got["sub"] != want {
				t.Fatalf("turn %d, by %s: %s gets the token of %v", turn, way, want, got["sub"])
			}
		}
	}
}

// cookieAndBearer returns one cached swap by cookies, and one by a bearer token, of a gateway with n browsers logged in.
func cookieAndBearer(tb testing.TB, n int, method string) (cookie, bearer func(int)) {
	users, r := newCookieUsers(tb, n, method)
	cookie = func(i int) { users.byCookie(r, i%n); users.swap(tb, r) }
	bearer = func(i int) { users.byBearer(r, i%n); users.swap(tb, r) }
	return cookie, bearer
}

// cookieUsers are users at a gateway, each with a login in a browser and the reference that is sealed in its cookies.
type cookieUsers struct {
	gateway                *Gateway
	issuer                 *loginIssuer
	cookies, csrf, bearers [][]string // the headers' values
}

// newCookieUsers logs n users in, in random order, and returns a request of theirs without a credential. All tokens are cached.
func newCookieUsers(tb testing.TB, n int, method string) (*cookieUsers, *http.Request) {
	return newCookieUsersOf(tb, newFakeIssuer(tb, nil), n, method)
}

func newCookieUsersOf(tb testing.TB, issuer *fakeIssuer, n int, method string) (*cookieUsers, *http.Request) {
	users := &cookieUsers{issuer: &loginIssuer{fakeIssuer: issuer, expiresIn: 300}}
	users.gateway = users.issuer.patientGateway(tb)
	r := chromiumRequest(method)
	order := make([]int, n)
	for i := range order {
		order[i] = i + 1
	}
	shuffle(order)
	users.cookies, users.csrf, users.bearers = make([][]string, n), make([][]string, n), make([][]string, n)
	for made, place := range order {
		cookies, csrf := login(tb, users.gateway, users.issuer)
		users.cookies[place-1], users.csrf[place-1] = []string{cookies}, []string{csrf}
		users.bearers[place-1] = []string{"Bearer " + newReference(uint64(made+1))}
		users.byCookie(r, place-1)
		if outcome := users.gateway.Authorize(r); outcome.Refusal() != nil || outcome.Cached {
			tb.Fatal(outcome.Refusal(), outcome.Cached)
		}
	}
	return users, r
}

// patientGateway is a gateway before i whose cache keeps everything for as long as it is measured.
func (i *loginIssuer) patientGateway(tb testing.TB) *Gateway {
	cfg := Config{
		Issuer:       Issuer{Issuer: "https://issuer.example", ClientID: "gateway", NoFeed: true},
		Cache:        Cache{MaxAge: Duration(time.Hour), MaxBytes: benchCacheBytes},
		TokenHandler: testTokenHandler(),
		Routes: []Route{
			{Path: "/api/eventcatalog/events", Audience: "eventcatalog", Scopes: Scopes{All: []string{"eventcatalog.read"}}},
			{Path: "/api/eventcatalog/*", Audience: "eventcatalog", Scopes: Scopes{All: []string{"eventcatalog.write"}}},
			{Path: "/health", Open: true},
		},
	}
	cfg.TokenHandler.AllowBearer = true
	cfg = cfg.withDefaults()
	start := time.Now()
	opts := Options{
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Transport: i,
		Now: func() time.Time { _ = time.Now(); return start }, // the time stands still, its price is paid
	}.withDefaults()
	g, err := build(cfg, "secret", nil, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { g.Close() })
	tokens, faults := cfg.TokenHandler.complete(cfg.Issuer, opts.Getenv)
	if err := joined(faults); err != nil {
		tb.Fatal(err)
	}
	if err := g.addTokenHandler(cfg, tokens, opts); err != nil {
		tb.Fatal(err)
	}
	return g
}

// byCookie makes r, which Apply has made fit for the API, a request of user i by cookies.
func (u *cookieUsers) byCookie(r *http.Request, i int) {
	delete(r.Header, authorization)
	r.Header["Cookie"] = u.cookies[i]
	if r.Method == http.MethodPost {
		r.Header["X-Shop-Csrf"] = u.csrf[i]
	}
}

// byBearer makes r a request of user i by a bearer token. It takes out what is put in again, as byCookie does, so that the
// measuring itself costs both the same.
func (u *cookieUsers) byBearer(r *http.Request, i int) {
	delete(r.Header, authorization)
	r.Header[authorization] = u.bearers[i]
}

// swap is one cached swap.
func (u *cookieUsers) swap(tb testing.TB, r *http.Request) {
	outcome := u.gateway.Authorize(r)
	if outcome.Refusal() != nil || !outcome.Cached {
		tb.Fatal(outcome.Refusal(), outcome.Cached)
	}
	outcome.Apply(r)
}

// chromiumRequest is what Chromium sends when a page's script fetches from the page's own origin, without any credential.
func chromiumRequest(method string) *http.Request {
	r := &http.Request{
		Method: method, URL: &url.URL{Path: "/api/eventcatalog/events"}, Proto: "HTTP/2.0", ProtoMajor: 2, Host: "www.example",
		Header: http.Header{
			"Accept": {"*/*"}, "Accept-Encoding": {"gzip, deflate, br, zstd"}, "Accept-Language": {"en-US,en;q=0.9"},
			"Referer":          {testOrigin + "/"},
			"Sec-Ch-Ua":        {`"Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"`},
			"Sec-Ch-Ua-Mobile": {"?0"}, "Sec-Ch-Ua-Platform": {`"Linux"`},
			"Sec-Fetch-Dest": {"empty"}, "Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Site": {"same-origin"},
			"User-Agent": {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"},
		},
	}
	if method == http.MethodPost {
		r.Header["Origin"], r.Header["Content-Type"], r.Header["Content-Length"] = []string{testOrigin}, []string{"application/json"}, []string{"27"}
	}
	return r
}
