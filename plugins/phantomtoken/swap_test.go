package phantomtoken

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/plugins/policy"
)

func TestSwap(t *testing.T) {
	f := newFixture(t)
	var sent *http.Request
	f.issuer.answer = func(r *http.Request) *http.Response {
		sent = r
		return respond(200, "application/jwt; charset=utf-8", f.issuer.mint()+"\n")
	}
	miss := f.mustSwap(good, false)
	hit := f.mustSwap(good, true)
	if !strings.HasPrefix(miss.Header[0], "Bearer eyJ") || strings.TrimSpace(miss.Header[0]) != miss.Header[0] {
		t.Errorf("header %q", miss.Header)
	}
	if len(hit.Header) != 1 || hit.Header[0] != miss.Header[0] || hit.Facts != miss.Facts {
		t.Errorf("hit %v %+v\nmiss %v %+v", hit.Header, hit.Facts, miss.Header, miss.Facts)
	}
	now := f.clock.now()
	want := policy.Facts{
		Expires: now.Add(5 * time.Minute).UnixMilli(), AuthTime: now.Add(-time.Minute).Unix(), Scopes: 0b01, ACR: "pwd",
	}
	if miss.Facts != want {
		t.Errorf("facts %+v, want %+v", miss.Facts, want)
	}

	form, err := url.ParseQuery(f.issuer.asked[0])
	if err != nil || len(form) != 3 || form.Get("token") != good || form.Get("audience") != "orders" || form.Get("scope") != "orders.read orders.write" {
		t.Errorf("asked %q, %v", f.issuer.asked[0], err)
	}
	if got := sent.Header.Get("Accept"); got != "application/jwt" {
		t.Errorf("accept %q", got)
	}
	// RFC 6749 section 2.3.1: form-encoded, then joined.
	if got, want := sent.Header.Get("Authorization"), "Basic "+base64.StdEncoding.EncodeToString([]byte("gate+way:canary%3Asecret")); got != want {
		t.Errorf("authorization %q, want %q", got, want)
	}
}

// TestKeysAreApart: what was cached for one audience, scope, tenant or reference answers for no other.
func TestKeysAreApart(t *testing.T) {
	f := newFixture(t)
	seen := map[key]string{}
	for name, k := range map[string]key{
		"as asked":          keyFor(good, f.Ask("orders", []string{"a", "b"})),
		"other reference":   keyFor(other, f.Ask("orders", []string{"a", "b"})),
		"other audience":    keyFor(good, f.Ask("basket", []string{"a", "b"})),
		"fewer scopes":      keyFor(good, f.Ask("orders", []string{"a"})),
		"joined scopes":     keyFor(good, f.Ask("orders", []string{"ab"})),
		"scope as audience": keyFor(good, f.Ask("ordersa", []string{"b"})),
		"other tenant":      keyFor(good, newFixture(t, func(c *Config) { c.Tenant = "acme" }).Ask("orders", []string{"a", "b"})),
		"other issuer":      keyFor(good, newFixture(t, func(c *Config) { c.Issuer = "https://x.example" }).Ask("orders", []string{"a", "b"})),
	} {
		if twin, ok := seen[k]; ok {
			t.Errorf("%s and %s share a key", name, twin)
		}
		seen[k] = name
		if strings.Contains(string(k[:]), "pgat_") {
			t.Errorf("%s: the key holds the reference", name)
		}
	}
}

func TestGarbageIsRefusedUnasked(t *testing.T) {
	f := newFixture(t)
	for _, reference := range []string{"", "x", good[:53], good + "x", good[:53] + "x", strings.Replace(good, "pgat_", "pgrt_", 1), strings.Repeat("a", 1<<20), "eyJhbGciOiJub25lIn0.e30."} {
		if _, _, err := f.swap(reference); !errors.Is(err, ErrInactive) {
			t.Errorf("%.60q: %v", reference, err)
		}
	}
	if n, _ := f.issuer.calls(); n != 0 {
		t.Errorf("the issuer was asked %d times", n)
	}
}

func TestAnswers(t *testing.T) {
	type is func(error) bool
	wraps := func(target error) is { return func(err error) bool { return errors.Is(err, target) } }
	tests := map[string]struct {
		status            int
		contentType, body string
		want              is
	}{
		"inactive":                  {204, "", "", wraps(ErrInactive)},
		"insufficient":              {403, "application/json", `{"error":"insufficient_scope"}`, wraps(ErrInsufficient)},
		"another 403":               {403, "text/html", "<h1>WAF</h1>", wraps(ErrIssuer)},
		"our secret refused":        {401, "application/json", `{"error":"invalid_client"}`, wraps(ErrIssuer)},
		"audience refused":          {400, "application/json", `{"error":"invalid_target"}`, wraps(ErrIssuer)},
		"redirect":                  {302, "", "", wraps(ErrIssuer)},
		"created":                   {201, "application/jwt", "eyJ", wraps(ErrIssuer)},
		"not found":                 {404, "text/plain", "no", wraps(ErrIssuer)},
		"empty 200":                 {200, "", "", wraps(ErrIssuer)},
		"empty jwt":                 {200, "application/jwt", "", wraps(ErrIssuer)},
		"json inactive as 200":      {200, "application/json", `{"active":false}`, wraps(ErrIssuer)},
		"json inactive as jwt":      {200, "application/jwt", `{"active":false}`, wraps(ErrIssuer)},
		"garbage as jwt":            {200, "application/jwt", "a.b.c", wraps(ErrIssuer)},
		"too long":                  {200, "application/jwt", strings.Repeat("a", mostAnswer+1), wraps(ErrIssuer)},
		"server error":              {500, "text/plain", "canary", isUnavailable},
		"unavailable":               {503, "text/plain", "canary", isUnavailable},
		"too many requests":         {429, "text/plain", "canary", isUnavailable},
		"error code with a newline": {400, "application/json", `{"error":"canary\nx"}`, wraps(ErrIssuer)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.issuer.answer = func(*http.Request) *http.Response { return respond(test.status, test.contentType, test.body) }
			token, _, err := f.swap(good)
			if !test.want(err) || token.Header != nil {
				t.Errorf("got %v, %v", token, err)
			}
		})
	}
}

// TestRedirectsAreNotFollowed: whoever can answer for the issuer once must not be sent the reference and the secret.
func TestRedirectsAreNotFollowed(t *testing.T) {
	f := newFixture(t)
	f.issuer.answer = func(r *http.Request) *http.Response {
		if r.URL.Host != "issuer.example" {
			t.Errorf("%s was asked", r.URL.Host)
		}
		resp := respond(307, "", "")
		resp.Header.Set("Location", "https://evil.example/")
		return resp
	}
	if _, _, err := f.swap(good); !errors.Is(err, ErrIssuer) {
		t.Errorf("got %v", err)
	}
	if n, _ := f.issuer.calls(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestUnreachableSlowAndGivenUp(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Timeout = time.Millisecond })
	f.issuer.answer = func(*http.Request) *http.Response { return nil } // never answers
	if _, _, err := f.swap(good); !errors.Is(err, ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("slow: %v", err)
	}
	g := newFixture(t)
	g.source.client.Transport = roundTrip(func(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") })
	if _, _, err := g.swap(good); !isUnavailable(err) {
		t.Errorf("unreachable: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	h := newFixture(t)
	h.issuer.answer = func(*http.Request) *http.Response { return nil }
	if _, _, err := h.Swap(ctx, good, h.ask, h.clock.now()); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestBreakerKeepsRequestsAway and lets one through after the pause.
func TestBreakerKeepsRequestsAway(t *testing.T) {
	f := newFixture(t)
	f.issuer.answer = func(*http.Request) *http.Response { return respond(500, "", "") }
	for range breakerFailures + 3 {
		if _, _, err := f.swap(good); !isUnavailable(err) {
			t.Fatal(err)
		}
	}
	if n := strings.Count(f.log.String(), "\n"); n != breakerFailures+1 {
		t.Errorf("%d lines logged, want one for each failure and one for the breaker:\n%s", n, f.log)
	}
	if n, _ := f.issuer.calls(); n != breakerFailures {
		t.Errorf("asked %d times, want %d", n, breakerFailures)
	}
	f.issuer.answer = nil
	if _, _, err := f.swap(good); !isUnavailable(err) {
		t.Errorf("before the pause is over: %v", err)
	}
	f.clock.advance(breakerPause)
	f.mustSwap(good, false)
	// An issuer that refuses us, or what it is asked about, is not failing.
	f.issuer.answer = func(*http.Request) *http.Response { return respond(401, "", "") }
	for range 2 * breakerFailures {
		if _, _, err := f.swap(other); !errors.Is(err, ErrIssuer) {
			t.Fatal(err)
		}
	}
}

func TestNoIsRememberedBriefly(t *testing.T) {
	for status, want := range map[int]error{204: ErrInactive, 403: ErrInsufficient} {
		f := newFixture(t)
		f.issuer.answer = func(*http.Request) *http.Response { return respond(status, "", `{"error":"insufficient_scope"}`) }
		for i, wantCached := range []bool{false, true, true} {
			if _, cached, err := f.swap(good); !errors.Is(err, want) || cached != wantCached {
				t.Errorf("%d, time %d: cached %t, %v", status, i, cached, err)
			}
		}
		f.clock.advance(time.Second)
		f.issuer.answer = nil
		f.mustSwap(good, false)
	}
}

func TestMissesAreCoalesced(t *testing.T) {
	f := newFixture(t)
	release := make(chan struct{})
	f.issuer.answer = func(*http.Request) *http.Response {
		<-release
		return respond(200, "application/jwt", f.issuer.mint())
	}
	var callers sync.WaitGroup
	headers := make([][]string, 100)
	for i := range headers {
		callers.Go(func() {
			token, _, err := f.swap(good)
			if err != nil {
				t.Error(err)
			}
			headers[i] = token.Header
		})
	}
	waitUntil(t, func() bool { return f.flights.waitingFor(keyFor(good, f.ask)) == 100 })
	close(release)
	callers.Wait()
	headers[0][0] = "changed in place"
	if headers[1][0] == headers[0][0] {
		t.Error("two callers share a header")
	}
	if n, _ := f.issuer.calls(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	f := newFixture(t)
	f.issuer.answer = func(*http.Request) *http.Response { return nil }
	done := make(chan error, 1)
	go func() { _, _, err := f.swap(good); done <- err }()
	waitUntil(t, func() bool { n, _ := f.issuer.calls(); return n == 1 })
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("under way: %v", err)
	}
	if _, _, err := f.swap(other); !isUnavailable(err) {
		t.Errorf("afterwards: %v", err)
	}
}

func TestNewRefusesHalfAConfig(t *testing.T) {
	_, err := New(Config{})
	for _, name := range []string{"Issuer", "Tenant", "JWKSURI", "ClientID", "ClientSecret", "Timeout", "MaxAge", "MaxBytes", "NegativeEntries", "Logger"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not missed: %v", name, err)
		}
	}
}
