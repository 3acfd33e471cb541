package shoppingbasket_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/apis/apitest"
	"github.com/phantomgate/phantomgate/testbed/apis/discount"
	"github.com/phantomgate/phantomgate/testbed/apis/shoppingbasket"
)

// world is a basket with what it calls: a token endpoint, an eventcatalog, and the real discount API.
type world struct {
	*apitest.API
	log       bytes.Buffer
	exchanges atomic.Int64
	issued    atomic.Int64 // references of the basket's own
	listed    atomic.Int64
	good      atomic.Int64 // the reference that the eventcatalog takes, by its number; 0: any
	exchange  func(w http.ResponseWriter, subjectToken string)
	discounts atomic.Pointer[http.Handler]
}

const events = `[{"id":"e1","name":"Jazz","price":4500,"currency":"EUR"},{"id":"e3","name":"Trains","price":1500,"currency":"EUR","venue":"Utrecht"}]`

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{}
	issuer := apitest.NewIssuer(t)
	w.exchange = func(rw http.ResponseWriter, _ string) {
		fmt.Fprintf(rw, `{"access_token":%q,"issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer","expires_in":60}`,
			issuer.Token(t, "u", "discount", "discount.fullaccess"))
	}
	deep, err := discount.New(discount.Config{Issuer: issuer.Name, JWKSURL: issuer.JWKSURL})
	if err != nil {
		t.Fatal(err)
	}
	w.discounts.Store(&deep)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth/token", w.token)
	mux.HandleFunc("GET /api/eventcatalog/events", w.list)
	mux.HandleFunc("/api/discount/", func(rw http.ResponseWriter, r *http.Request) { (*w.discounts.Load()).ServeHTTP(rw, r) })
	others := httptest.NewServer(mux)
	t.Cleanup(others.Close)
	handler, err := shoppingbasket.New(shoppingbasket.Config{
		Issuer: issuer.Name, JWKSURL: issuer.JWKSURL, TokenURL: others.URL + "/oauth/token", ClientID: "shoppingbasket", ClientSecret: "canary-secret",
		EventsURL: others.URL + "/api/eventcatalog/events", DiscountURL: others.URL, Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.API = issuer.Serve(t, handler)
	return w
}

func (w *world) token(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("Content-Type", "application/json")
	if r.PostFormValue("grant_type") == "client_credentials" {
		fmt.Fprintf(rw, `{"access_token":"canary-reference-%d","token_type":"Bearer","expires_in":900}`, w.issued.Add(1))
		return
	}
	w.exchanges.Add(1)
	w.exchange(rw, r.PostFormValue("subject_token"))
}

func (w *world) list(rw http.ResponseWriter, r *http.Request) {
	w.listed.Add(1)
	if good := w.good.Load(); good != 0 && r.Header.Get("Authorization") != fmt.Sprintf("Bearer canary-reference-%d", good) {
		rw.WriteHeader(http.StatusUnauthorized)
		return
	}
	fmt.Fprint(rw, events)
}

const (
	basketPath = "/api/shoppingbasket/basket"
	readWrite  = "shoppingbasket.read shoppingbasket.write"
)

type basket struct {
	Lines []struct {
		Event    string `json:"event"`
		Name     string `json:"name"`
		Quantity int    `json:"quantity"`
		Price    int64  `json:"price"`
		Total    int64  `json:"total"`
	} `json:"lines"`
	Subtotal int64  `json:"subtotal"`
	Percent  int64  `json:"percent"`
	Discount int64  `json:"discount"`
	Total    int64  `json:"total"`
	Currency string `json:"currency"`
}

// shop sends a request that must be answered with a basket.
func (w *world) shop(t *testing.T, token, body string) (b basket) {
	t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	status, answer := w.Call(t, method, basketPath, token, body)
	if err := json.Unmarshal([]byte(answer), &b); err != nil || status != http.StatusOK {
		t.Fatalf("%s: %d %s", body, status, answer)
	}
	return b
}

func TestShopping(t *testing.T) {
	w := newWorld(t)
	alice := w.Token(t, "u-alice", "shoppingbasket", readWrite)
	if b := w.shop(t, alice, ""); b.Lines == nil || len(b.Lines) != 0 || b.Total != 0 || b.Currency != "EUR" || w.exchanges.Load() != 0 {
		t.Errorf("an empty basket is %+v, after %d exchanges", b, w.exchanges.Load())
	}
	b := w.shop(t, alice, `{"event":"e1","quantity":1}`)
	if len(b.Lines) != 1 || b.Lines[0].Name != "Jazz" || b.Lines[0].Total != 4500 || b.Discount != 0 || b.Total != 4500 {
		t.Errorf("one ticket: %+v", b)
	}
	b = w.shop(t, alice, `{"event":"e3","quantity":4}`)
	if len(b.Lines) != 2 || b.Lines[1].Total != 6000 || b.Subtotal != 10500 || b.Percent != 10 || b.Discount != 1050 || b.Total != 9450 {
		t.Errorf("five tickets: %+v", b)
	}
	for range 2 { // the same again changes nothing
		b = w.shop(t, alice, `{"event":"e3","quantity":1}`)
	}
	if len(b.Lines) != 2 || b.Lines[1].Quantity != 1 || b.Total != 5700 {
		t.Errorf("two tickets: %+v", b)
	}
	for range 2 {
		b = w.shop(t, alice, `{"event":"e1","quantity":0}`)
	}
	if len(b.Lines) != 1 || b.Lines[0].Event != "e3" || b.Total != 1500 {
		t.Errorf("one taken out: %+v", b)
	}
	if w.exchanges.Load() != 1 || w.listed.Load() != 1 || w.issued.Load() != 1 {
		t.Errorf("%d exchanges, %d lists, %d references for all that", w.exchanges.Load(), w.listed.Load(), w.issued.Load())
	}
}

// TestABasketIsItsOwners: there is no way to another's, by whatever one sends.
func TestABasketIsItsOwners(t *testing.T) {
	w := newWorld(t)
	alice, bob := w.Token(t, "u-alice", "shoppingbasket", readWrite), w.Token(t, "u-bob", "shoppingbasket", readWrite)
	w.shop(t, alice, `{"event":"e1","quantity":2}`)
	if b := w.shop(t, bob, ""); len(b.Lines) != 0 {
		t.Errorf("bob sees %+v", b)
	}
	w.shop(t, bob, `{"event":"e1","quantity":7}`)
	w.shop(t, bob, `{"event":"e1","quantity":0}`)
	if b := w.shop(t, alice, ""); len(b.Lines) != 1 || b.Lines[0].Quantity != 2 {
		t.Errorf("after bob alice has %+v", b)
	}
	for _, body := range []string{`{"event":"e1","quantity":1,"sub":"u-alice"}`, `{"event":"e1","quantity":1,"owner":"u-alice"}`} {
		if status, answer := w.Call(t, http.MethodPost, basketPath, bob, body); status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}
	for _, path := range []string{basketPath + "?sub=u-alice", basketPath + "?user=u-alice"} {
		if _, answer := w.Call(t, http.MethodGet, path, bob, ""); strings.Contains(answer, "Jazz") {
			t.Errorf("%s shows bob %s", path, answer)
		}
	}
	if w.exchanges.Load() != 2 {
		t.Errorf("%d exchanges for two people", w.exchanges.Load())
	}
}

func TestEachOperationAsksForItsScope(t *testing.T) {
	w := newWorld(t)
	const body = `{"event":"e1","quantity":1}`
	for _, c := range []struct {
		method, path, audience, scope, body string
		want                                int
	}{
		{"GET", basketPath, "shoppingbasket", "shoppingbasket.read", "", 200},
		{"GET", basketPath, "shoppingbasket", "shoppingbasket.write", "", 403},
		{"POST", basketPath, "shoppingbasket", "shoppingbasket.read", body, 403},
		{"POST", basketPath, "shoppingbasket", "shoppingbasket.write", body, 200},
		{"GET", "/api/shoppingbasket/whoami", "shoppingbasket", "shoppingbasket.read", "", 200},
		{"GET", "/api/shoppingbasket/whoami", "shoppingbasket", "shoppingbasket.write", "", 403},
		{"GET", "/api/shoppingbasket/whoami/discount", "shoppingbasket", "shoppingbasket.read", "", 200},
		{"GET", "/api/shoppingbasket/whoami/discount", "shoppingbasket", "shoppingbasket.write", "", 403},
		{"GET", basketPath, "eventcatalog", "shoppingbasket.read", "", 401},
		{"GET", basketPath, "discount", "discount.fullaccess", "", 401},
		{"DELETE", basketPath, "shoppingbasket", readWrite, "", 405},
	} {
		if got, answer := w.Call(t, c.method, c.path, w.Token(t, "u", c.audience, c.scope), c.body); got != c.want {
			t.Errorf("%s %s with %s for %s: status %d, want %d: %s", c.method, c.path, c.scope, c.audience, got, c.want, answer)
		}
	}
}

func TestBadLinesAreRefused(t *testing.T) {
	w := newWorld(t)
	token := w.Token(t, "u", "shoppingbasket", readWrite)
	for body, want := range map[string]int{
		`{"event":"e1","quantity":-1}`:                    400,
		`{"event":"e1","quantity":101}`:                   400,
		`{"event":"e1","quantity":1.5}`:                   400,
		`{"event":"e1"}`:                                  400,
		`{"quantity":1}`:                                  400,
		`{"event":"e1","quantity":1}{}`:                   400,
		`{"event":"e1","quantity":1,"price":0}`:           400,
		`[]`:                                              400,
		`{"event":"e99","quantity":1}`:                    404,
		`{"event":"` + strings.Repeat("e", 5000) + `","q`: 413,
	} {
		if got, answer := w.Call(t, http.MethodPost, basketPath, token, body); got != want {
			t.Errorf("%.60s: status %d, want %d: %s", body, got, want, answer)
		}
	}
	if b := w.shop(t, token, ""); len(b.Lines) != 0 {
		t.Errorf("something of it was kept: %+v", b)
	}
}

// TestWhatTheBasketCallsFails: it says so, never a wrong price, and nothing secret reaches log or client.
func TestWhatTheBasketCallsFails(t *testing.T) {
	broken := func(status int) *http.Handler {
		h := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		return &h
	}
	for name, c := range map[string]struct {
		spoil  func(w *world)
		status int
		code   string
	}{
		"the user was revoked": {func(w *world) {
			w.exchange = func(rw http.ResponseWriter, _ string) {
				rw.WriteHeader(400)
				fmt.Fprint(rw, `{"error":"invalid_request"}`)
			}
		}, 401, "invalid_token"},
		"no rule": {func(w *world) {
			w.exchange = func(rw http.ResponseWriter, _ string) {
				rw.WriteHeader(400)
				fmt.Fprint(rw, `{"error":"invalid_target"}`)
			}
		}, 502, "bad_gateway"},
		"the issuer is down":                    {func(w *world) { w.exchange = func(rw http.ResponseWriter, _ string) { rw.WriteHeader(503) } }, 502, "bad_gateway"},
		"the discount API is down":              {func(w *world) { w.discounts.Store(broken(500)) }, 502, "bad_gateway"},
		"the discount API refuses what it gets": {func(w *world) { w.discounts.Store(broken(401)) }, 502, "bad_gateway"},
		"a discount of more than it costs": {func(w *world) {
			h := http.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"percent":5,"discount":4501}`) }))
			w.discounts.Store(&h)
		}, 502, "bad_gateway"},
		"the eventcatalog refuses": {func(w *world) { w.good.Store(99) }, 502, "bad_gateway"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			c.spoil(w)
			token := w.Token(t, "u", "shoppingbasket", readWrite)
			status, answer := w.Call(t, http.MethodPost, basketPath, token, `{"event":"e1","quantity":1}`)
			var got struct {
				Error string `json:"error"`
			}
			if err := json.Unmarshal([]byte(answer), &got); err != nil || status != c.status || got.Error != c.code {
				t.Errorf("answered %d %s, want %d %s", status, answer, c.status, c.code)
			}
			for _, secret := range []string{token, "canary", "eyJ"} {
				if strings.Contains(w.log.String()+answer, secret) {
					t.Errorf("the log or the answer holds %.12s…", secret)
				}
			}
		})
	}
}

// TestKeptTokensThatEnded: a reference of its own that was revoked, and an exchanged token that the discount API no longer
// takes, are asked for again, once.
func TestKeptTokensThatEnded(t *testing.T) {
	w := newWorld(t)
	w.good.Store(2)
	token := w.Token(t, "u", "shoppingbasket", readWrite)
	w.shop(t, token, `{"event":"e1","quantity":1}`)
	if w.issued.Load() != 2 || w.listed.Load() != 2 {
		t.Errorf("%d references, %d lists", w.issued.Load(), w.listed.Load())
	}
	deep, refusals := w.discounts.Load(), 1
	h := http.Handler(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if refusals--; refusals >= 0 {
			rw.WriteHeader(http.StatusUnauthorized)
			return
		}
		(*deep).ServeHTTP(rw, r)
	}))
	w.discounts.Store(&h)
	w.shop(t, token, "")
	if w.exchanges.Load() != 2 {
		t.Errorf("%d exchanges", w.exchanges.Load())
	}
}

func TestBadConfig(t *testing.T) {
	if _, err := shoppingbasket.New(shoppingbasket.Config{}); err == nil {
		t.Error("an empty config is taken")
	}
}
