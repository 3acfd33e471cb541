package browser

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/spa"
)

// standIn answers as gateway, OAuth agent and APIs do on the wire, and fails as it is told. Its session is a cookie that
// only says that there is one.
type standIn struct {
	url string

	mu     sync.Mutex
	refuse map[string]int // status by "METHOD /path", instead of the answer
	counts map[string]int // requests by "METHOD /path"
	lines  []map[string]any
}

const cookieName = "__Host-demo-at"

func newStandIn(t *testing.T) *standIn {
	t.Helper()
	site, err := spa.New()
	if err != nil {
		t.Fatal(err)
	}
	s := &standIn{refuse: map[string]int{}, counts: map[string]int{}}
	mux := http.NewServeMux()
	mux.Handle("/", site)
	mux.HandleFunc("POST /oauth-agent/login/start", func(w http.ResponseWriter, r *http.Request) {
		say(w, 200, map[string]string{"authorizationRequestUrl": s.url + "/?code=c&state=s"})
	})
	mux.HandleFunc("POST /oauth-agent/login/end", func(w http.ResponseWriter, r *http.Request) {
		var body struct{ PageURL string }
		_ = json.NewDecoder(r.Body).Decode(&body) // an empty address is no answer of the issuer
		handled := strings.Contains(body.PageURL, "code=c")
		if handled {
			http.SetCookie(w, cookie("session", 0))
		}
		say(w, 200, s.session(r, handled))
	})
	mux.HandleFunc("GET /oauth-agent/session", func(w http.ResponseWriter, r *http.Request) { say(w, 200, s.session(r, false)) })
	mux.HandleFunc("GET /oauth-agent/userInfo", func(w http.ResponseWriter, r *http.Request) {
		say(w, 200, map[string]string{"name": "Alice Arendt", "email": "alice@example.com"})
	})
	mux.HandleFunc("POST /oauth-agent/refresh", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) })
	mux.HandleFunc("POST /oauth-agent/logout", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, cookie("", -1))
		say(w, 200, map[string]string{"url": s.url + "/"})
	})
	mux.HandleFunc("GET /api/eventcatalog/events", func(w http.ResponseWriter, r *http.Request) { say(w, 200, standInEvents) })
	mux.HandleFunc("GET /api/{api}/whoami", func(w http.ResponseWriter, r *http.Request) {
		api := r.PathValue("api")
		say(w, 200, map[string]any{"claims": map[string]any{"iss": "http://localhost:8090", "sub": "u-6f1c2a", "aud": api, "scope": api + ".read", "client_id": "spa", "region": "eu", "exp": 4102444800}, "headers": map[string]string{}})
	})
	mux.HandleFunc("GET /api/shoppingbasket/whoami/discount", func(w http.ResponseWriter, r *http.Request) {
		say(w, 200, map[string]any{"claims": map[string]any{"iss": "http://localhost:8090", "sub": "u-6f1c2a", "aud": "discount", "scope": "discount.fullaccess", "client_id": "spa", "act": map[string]any{"sub": "shoppingbasket"}, "exp": 4102444800}})
	})
	mux.HandleFunc("/api/shoppingbasket/basket", s.basket)
	server := httptest.NewServer(s.counting(mux))
	t.Cleanup(server.Close)
	s.url = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	return s
}

var standInEvents = []map[string]any{
	{"id": "e1", "name": "Midsummer Jazz on the Roof", "venue": "Kornhaus, Bern", "date": "2027-06-21", "price": 4500, "currency": "EUR"},
	{"id": "e2", "name": "<img src=x onerror=alert(1)>", "venue": "Long Beach, Fanø", "date": "2027-06-17", "price": 0, "currency": "EUR"},
}

func cookie(value string, age int) *http.Cookie {
	return &http.Cookie{Name: cookieName, Value: value, MaxAge: age, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteStrictMode}
}

// session is what the agent says of the session that the request has, or has from now on.
func (s *standIn) session(r *http.Request, handled bool) map[string]any {
	if _, err := r.Cookie(cookieName); err != nil && !handled {
		return map[string]any{"handled": handled, "isLoggedIn": false}
	}
	return map[string]any{"handled": handled, "isLoggedIn": true, "csrf": strings.Repeat("c", 43)}
}

func (s *standIn) basket(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodPost {
		s.lines = append([]map[string]any{}, map[string]any{"event": "e1", "name": "Midsummer Jazz on the Roof", "quantity": 2, "price": 4500, "total": 9000})
	}
	say(w, 200, map[string]any{"lines": append([]map[string]any{}, s.lines...), "subtotal": 9000, "percent": 10, "discount": 900, "total": 8100, "currency": "EUR"})
}

// counting counts each request, and answers those that are to be refused.
func (s *standIn) counting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Method + " " + r.URL.Path
		s.mu.Lock()
		s.counts[key]++
		status := s.refuse[key]
		s.mu.Unlock()
		if strings.HasPrefix(r.URL.Path, "/api/") {
			w.Header().Set("Server-Timing", `gateway;desc="hit";dur=0.241, api;dur=0.198`)
		}
		if status != 0 {
			code := map[int]string{401: "invalid_token", 403: "insufficient_scope", 503: "temporarily_unavailable"}[status]
			say(w, status, map[string]string{"error": code, "error_description": "refused by the test"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *standIn) set(status int, key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse[key] = status
}

func (s *standIn) count(key string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[key]
}

func say(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the browser has gone if this fails
}
