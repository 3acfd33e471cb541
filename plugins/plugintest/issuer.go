package plugintest

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Token is what the fake issuer persists behind a reference. A scope belongs
// to the audience before its dot.
type Token struct {
	Subject string
	Client  string // empty: mobile
	Scopes  []string
	Expires time.Time // zero: an hour from now
	ACR     string
	AuthAge time.Duration // how long ago the user logged in

	followed map[string]string // headers by which a gateway's cache follows it, as of when it was read
}

// Asked is one introspection the issuer received.
type Asked struct {
	Reference, Audience, Scope, Accept string
	// Secret is the client secret as sent, after decoding.
	Secret string
}

// Issuer is a fake authorization server with the introspection endpoint and
// the JWKS of the wire, made to misbehave on demand (Behave, Down, Rotate).
type Issuer struct {
	// URL is the issuer's name and its address.
	URL string

	addr string
	keys keyring

	mu        sync.Mutex
	server    *httptest.Server
	tokens    map[string]*Token
	behaviour Behaviour
	asked     []Asked
	jwksCalls int
	minted    []string
	arrived   chan struct{} // closed and replaced at every introspection
	agent     agentSide
	feed      feedSide
	signals   signalSide
}

// NewIssuer starts an issuer that ends with the test.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{tokens: map[string]*Token{}, arrived: make(chan struct{}),
		agent: agentSide{codes: map[string]loginRequest{}, refresh: map[string]bool{}}, feed: newFeedSide(), signals: newSignalSide()}
	i.keys.rotate()
	i.serve(listenAside(t))
	i.URL = "http://" + i.addr
	t.Cleanup(i.Down)
	return i
}

// Down stops the issuer: connections are refused until Up.
func (i *Issuer) Down() {
	i.mu.Lock()
	server := i.server
	i.server = nil
	i.mu.Unlock()
	if server != nil {
		server.CloseClientConnections()
		server.Close()
	}
}

// Up starts the issuer again, at the same address.
func (i *Issuer) Up(t testing.TB) {
	t.Helper()
	listener, err := net.Listen("tcp", i.addr)
	if err != nil {
		t.Fatalf("issuer: %v", err)
	}
	i.serve(listener)
}

// listenAside listens below the ports that systems give to those who ask for
// any, or nobody could be sure to get his back after Down.
func listenAside(t testing.TB) net.Listener {
	t.Helper()
	var err error
	for range 100 {
		var listener net.Listener
		if listener, err = net.Listen("tcp", fmt.Sprint("127.0.0.1:", 20000+rand.IntN(12768))); err == nil {
			return listener
		}
	}
	t.Fatalf("issuer: %v", err)
	return nil
}

func (i *Issuer) serve(listener net.Listener) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth/introspect", i.introspect)
	mux.HandleFunc("GET /oauth/jwks", i.jwks)
	mux.HandleFunc("POST /oauth/token", i.token)
	mux.HandleFunc("POST /oauth/revoke", i.revokeEndpoint)
	i.feedHandlers(mux)
	i.signalHandlers(mux)
	for _, kind := range foreignKinds() {
		mux.HandleFunc("POST "+kind.path, i.foreign(kind))
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: mux}}
	server.Start()
	i.mu.Lock()
	i.server, i.addr = server, listener.Addr().String()
	i.mu.Unlock()
}

// Grant persists token and returns its reference.
func (i *Issuer) Grant(token Token) string {
	if token.Subject == "" {
		token.Subject = "alice-id"
	}
	if token.Expires.IsZero() {
		token.Expires = time.Now().Add(time.Hour)
	}
	reference := NewReference()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.tokens[reference] = &token
	return reference
}

// GrantScopes persists a token of alice's with scopes.
func (i *Issuer) GrantScopes(scopes ...string) string { return i.Grant(Token{Scopes: scopes}) }

// Revoke ends reference: it is inactive from now on, and the feed says so.
func (i *Issuer) Revoke(reference string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.tokens[reference].Expires = time.Time{}
	i.feed.revoked(keyOf("token", reference))
}

// Behave sets how the issuer answers from now on; Behaviour{} is well.
func (i *Issuer) Behave(b Behaviour) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.behaviour = b
}

// Rotate makes a new signing key, used at once. The old ones stay published.
func (i *Issuer) Rotate() { i.keys.rotate() }

// Asked returns every introspection so far, in order of arrival.
func (i *Issuer) Asked() []Asked {
	i.mu.Lock()
	defer i.mu.Unlock()
	return slices.Clone(i.asked)
}

// AskedAbout counts the introspections of reference so far.
func (i *Issuer) AskedAbout(reference string) int {
	n := 0
	for _, a := range i.Asked() {
		if a.Reference == reference {
			n++
		}
	}
	return n
}

// JWKSCalls counts how often the keys were fetched.
func (i *Issuer) JWKSCalls() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.jwksCalls
}

// AwaitAsked returns once n introspections have arrived.
func (i *Issuer) AwaitAsked(ctx context.Context, n int) error {
	for {
		i.mu.Lock()
		have, arrived := len(i.asked), i.arrived
		i.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d introspections arrived: %w", have, n, ctx.Err())
		}
	}
}

// secrets are the strings that must appear in no log, by kind.
func (i *Issuer) secrets() map[string][]string {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := map[string][]string{
		"gateway secret": {gatewayS, url.QueryEscape(gatewayS)},
		"phantom token":  i.minted,
	}
	maps.Copy(all, i.agentSecrets())
	for reference := range i.tokens {
		all["reference"] = append(all["reference"], reference)
	}
	for _, a := range i.asked {
		all["reference"] = append(all["reference"], a.Reference)
	}
	return all
}

func (i *Issuer) jwks(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	i.jwksCalls++
	status := i.behaviour.JWKSStatus
	i.mu.Unlock()
	if status != 0 {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	json.NewEncoder(w).Encode(i.keys.public())
}

// introspect answers in the shape of the wire, unless told otherwise.
func (i *Issuer) introspect(w http.ResponseWriter, r *http.Request) {
	id, secret, _ := r.BasicAuth()
	id, _ = url.QueryUnescape(id)
	secret, _ = url.QueryUnescape(secret)
	if err := r.ParseForm(); err != nil {
		oauthError(w, http.StatusBadRequest, "invalid_request")
		return
	}
	asked := Asked{Reference: r.PostForm.Get("token"), Audience: r.PostForm.Get("audience"),
		Scope: r.PostForm.Get("scope"), Accept: r.Header.Get("Accept"), Secret: secret}
	token, b := i.noteAsked(asked)
	if b.hold(r.Context()) || b.answer(w) {
		return
	}
	switch {
	case id != "gateway" || sha256.Sum256([]byte(secret)) != sha256.Sum256([]byte(gatewayS)):
		w.Header().Set("WWW-Authenticate", `Basic realm="issuer"`)
		oauthError(w, http.StatusUnauthorized, "invalid_client")
	case len(r.PostForm["token"]) != 1 || len(r.PostForm["audience"]) > 1 || len(r.PostForm["scope"]) > 1:
		oauthError(w, http.StatusBadRequest, "invalid_request")
	case !time.Now().Before(token.Expires):
		w.WriteHeader(http.StatusNoContent)
	default:
		i.phantomToken(w, asked, token, b)
	}
}

// phantomToken answers with the JWT narrowed to what was asked.
func (i *Issuer) phantomToken(w http.ResponseWriter, asked Asked, token Token, b Behaviour) {
	scopes := slices.DeleteFunc(slices.Clone(token.Scopes), func(scope string) bool {
		audience, _, _ := strings.Cut(scope, ".")
		return asked.Audience != "" && audience != asked.Audience ||
			asked.Scope != "" && !slices.Contains(strings.Fields(asked.Scope), scope)
	})
	if len(scopes) == 0 {
		oauthError(w, http.StatusForbidden, "insufficient_scope")
		return
	}
	jwt := b.mint(&i.keys, i.claims(asked, token, scopes))
	i.mu.Lock()
	i.minted = append(i.minted, jwt)
	i.mu.Unlock()
	cacheControl := b.CacheControl
	if cacheControl == "" {
		cacheControl = "private, max-age=300"
	}
	w.Header().Set("Cache-Control", cacheControl)
	w.Header().Set("Content-Type", "application/jwt")
	for name, value := range token.followed {
		w.Header().Set(name, value)
	}
	if b.Headers != nil {
		b.Headers(w.Header())
	}
	w.Write([]byte(jwt))
}

func oauthError(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":%q}`, code)
}
