package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/authserver/authservertest"
)

const config = `
audiences:
  - {name: catalogue, title: Catalogue, scopes: [{name: catalogue.read, title: Read}]}
  - {name: admin, title: Operators, scopes: [{name: admin, title: Operate}]}
clients:
  - {id: batch, secret: {demo: batch-secret}, grant_types: [client_credentials], scopes: [catalogue.read]}
  - {id: shop, secret: {demo: shop-secret}, grant_types: [authorization_code], redirect_uris: ["http://127.0.0.1/callback"],
     scopes: [openid, catalogue.read], consent: skip}
  - {id: operator, secret: {demo: "operator+secret"}, grant_types: [client_credentials], scopes: [admin]}
  - {id: gateway, secret: {demo: gateway-secret}, introspects: [catalogue]}
users:
  - {login: alice, password: {demo: alice-secret}}
`

// lab is an issuer, and what its clients do.
type lab struct{ *authservertest.Issuer }

func newLab(t *testing.T) lab {
	t.Helper()
	return lab{authservertest.New(t, authservertest.Options{Config: config})}
}

// form posts a form and reads JSON.
func (l lab) form(client, path string, values url.Values) (map[string]any, error) {
	request, err := http.NewRequest(http.MethodPost, l.URL+path, strings.NewReader(values.Encode()))
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth(client, client+"-secret")
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return answered(request)
}

func answered(request *http.Request) (map[string]any, error) {
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	var members map[string]any
	if err := json.NewDecoder(response.Body).Decode(&members); err != nil {
		return nil, err
	}
	if response.StatusCode >= 300 {
		return nil, fmt.Errorf("%s: %d %v", request.URL.Path, response.StatusCode, members)
	}
	return members, nil
}

// issue gives the batch client a reference.
func (l lab) issue() (string, error) {
	answer, err := l.form("batch", "/oauth/token", url.Values{"grant_type": {"client_credentials"}})
	reference, _ := answer["access_token"].(string)
	return reference, err
}

// list issues n references, one a line.
func (l lab) list(t *testing.T, n int) []string {
	t.Helper()
	references := make([]string, n)
	for i := range references {
		var err error
		if references[i], err = l.issue(); err != nil {
			t.Fatal(err)
		}
	}
	return references
}

// introspect tells what the gateway is told of a reference.
func (l lab) introspect(reference string) (map[string]any, error) {
	return l.form("gateway", "/oauth/introspect", url.Values{"token": {reference}})
}

func (l lab) active(reference string) (bool, error) {
	answer, err := l.introspect(reference)
	return answer["active"] == true, err
}

// login is alice, who signs in at the shop. It gives the reference that the shop then holds.
func (l lab) login() (string, error) {
	const verifier = "0123456789012345678901234567890123456789012"
	challenge := sha256.Sum256([]byte(verifier))
	jar, err := cookiejar.New(nil)
	if err != nil {
		return "", err
	}
	var callback *url.URL
	person := http.Client{Jar: jar, CheckRedirect: func(request *http.Request, _ []*http.Request) error {
		if request.URL.Path == "/callback" {
			callback = request.URL
			return http.ErrUseLastResponse
		}
		return nil
	}}
	query := url.Values{"response_type": {"code"}, "client_id": {"shop"}, "redirect_uri": {"http://127.0.0.1/callback"}, "state": {"s"},
		"scope": {"openid catalogue.read"}, "code_challenge": {base64.RawURLEncoding.EncodeToString(challenge[:])}, "code_challenge_method": {"S256"}}
	response, err := person.Get(l.URL + "/oauth/authorize?" + query.Encode())
	if err != nil {
		return "", err
	}
	page, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return "", err
	}
	ticket := regexp.MustCompile(`name="ticket" value="([^"]*)"`).FindSubmatch(page)
	if ticket == nil {
		return "", fmt.Errorf("no login page: %d", response.StatusCode)
	}
	request, err := http.NewRequest(http.MethodPost, l.URL+"/oauth/login", strings.NewReader(url.Values{
		"ticket": {string(ticket[1])}, "login": {"alice"}, "password": {"alice-secret"}}.Encode()))
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", l.URL)
	response, err = person.Do(request)
	if err != nil {
		return "", err
	}
	if err := response.Body.Close(); err != nil || callback == nil {
		return "", fmt.Errorf("the login ends with %d: %w", response.StatusCode, err)
	}
	answer, err := l.form("shop", "/oauth/token", url.Values{"grant_type": {"authorization_code"}, "code": {callback.Query().Get("code")},
		"redirect_uri": {"http://127.0.0.1/callback"}, "code_verifier": {verifier}})
	reference, _ := answer["access_token"].(string)
	return reference, err
}

// stream is a gateway's, which has applied nothing yet. It gives where it is polled.
func (l lab) stream(name string) (string, error) {
	answer, err := l.feed(context.Background(), l.URL+"/ssf/streams", `{"delivery":{"method":"urn:ietf:rfc:8936"},"description":"`+name+`"}`)
	id, _ := answer["stream_id"].(string)
	return l.URL + "/ssf/streams/" + id + "/poll", err
}

func (l lab) feed(ctx context.Context, address, body string) (map[string]any, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth("gateway", "gateway-secret")
	return answered(request)
}

// hear is a gateway that applies what it is told, until the context ends.
func (l lab) hear(ctx context.Context, poll string) {
	for acks := []string{}; ctx.Err() == nil; {
		body, _ := json.Marshal(map[string]any{"ack": acks})
		told, err := l.feed(ctx, poll, string(body))
		if err != nil {
			return
		}
		acks = acks[:0]
		sets, _ := told["sets"].(map[string]any)
		for jti := range sets {
			acks = append(acks, jti)
		}
	}
}

// done is what a run of the command came to.
type done struct {
	code     int
	out, err string
	pauses   []time.Duration
}

// phantomctl runs the command in this process, in which nothing is waited for.
func (l lab) phantomctl(t *testing.T, admin string, in io.Reader, args ...string) done {
	t.Helper()
	var d done
	code, out, told := l.run(t, admin, in, func(ctx context.Context, wait time.Duration) error {
		d.pauses = append(d.pauses, wait)
		return ctx.Err()
	}, args...)
	d.code, d.out, d.err = code, out, told
	return d
}

func (l lab) run(t *testing.T, admin string, in io.Reader, pause func(context.Context, time.Duration) error, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, told bytes.Buffer
	env := map[string]string{envIssuer: l.URL, envAdmin: admin, envSecret: "operator+secret"}
	p := program{
		in: in, out: &out, err: &told, now: time.Now, getenv: func(name string) string { return env[name] }, pause: pause,
	}
	code = p.run(t.Context(), args)
	if reference.MatchString(out.String() + told.String()) {
		t.Errorf("a reference was printed:\n%s%s", &out, &told)
	}
	return code, out.String(), told.String()
}

// proxy stands in front of the admin API, one request after the other.
type proxy struct {
	URL string
	mu  sync.Mutex // held while a request is served
}

// before starts a proxy: around may answer by itself, or drop what the API answers.
func (l lab) before(t *testing.T, around func(w http.ResponseWriter, r *http.Request, api http.Handler)) *proxy {
	t.Helper()
	target, err := url.Parse(l.Admin)
	if err != nil {
		t.Fatal(err)
	}
	api := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }, ErrorLog: log.New(io.Discard, "", 0)}
	p := &proxy{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		around(w, r, api)
	}))
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// look reads what the proxy's requests have written.
func (p *proxy) look(do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	do()
}

// lose lets the API do what it is asked, and the answer go nowhere.
func lose(r *http.Request, api http.Handler) {
	api.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}
