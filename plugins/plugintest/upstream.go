package plugintest

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Received is one request as the API behind the gateway saw it.
type Received struct {
	Method, Path string // Path is the request target as sent
	Header       http.Header
	Body         string
}

// Bearer returns the bearer token the API received, "" when there is none.
func (r Received) Bearer() string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}

// Claims decodes the JWT the API received, without verifying it: what it
// says is what the cases look at. nil when it is no JWT.
func (r Received) Claims() map[string]any {
	parts := strings.Split(r.Bearer(), ".")
	if len(parts) != 3 {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var claims map[string]any
	if json.Unmarshal(payload, &claims) != nil {
		return nil
	}
	return claims
}

// Upstream is the API behind the gateway: it answers 200 and remembers what
// it received. Handle replaces the answer.
type Upstream struct {
	URL string

	mu       sync.Mutex
	handler  http.HandlerFunc
	received []Received
}

// NewUpstream starts an upstream that ends with the test.
func NewUpstream(t testing.TB) *Upstream {
	t.Helper()
	u := &Upstream{handler: func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "from upstream") }}
	server := httptest.NewUnstartedServer(http.HandlerFunc(u.serve))
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	u.URL = server.URL
	return u
}

// Handle makes handler give the answers from now on.
func (u *Upstream) Handle(handler http.HandlerFunc) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.handler = handler
}

// Received returns every request so far.
func (u *Upstream) Received() []Received {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.received)
}

// Last returns the newest request; ok is false when there was none.
func (u *Upstream) Last() (last Received, ok bool) {
	all := u.Received()
	if len(all) == 0 {
		return Received{}, false
	}
	return all[len(all)-1], true
}

func (u *Upstream) serve(w http.ResponseWriter, r *http.Request) {
	received := Received{Method: r.Method, Path: r.RequestURI, Header: r.Header.Clone()}
	if r.Method == http.MethodPost {
		body, _ := io.ReadAll(r.Body)
		received.Body = string(body)
	}
	u.mu.Lock()
	u.received = append(u.received, received)
	handler := u.handler
	u.mu.Unlock()
	handler(w, r)
}
