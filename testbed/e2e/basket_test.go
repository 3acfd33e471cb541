package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/testbed/apis/discount"
)

const (
	basketPath     = "/api/shoppingbasket/basket"
	whoamiDiscount = "/api/shoppingbasket/whoami/discount"
	exchangeGrant  = "urn:ietf:params:oauth:grant-type:token-exchange"
	accessType     = "urn:ietf:params:oauth:token-type:access_token"
)

// basket is what the API answers.
type basket struct {
	Lines []struct {
		Event    string `json:"event"`
		Quantity int    `json:"quantity"`
	} `json:"lines"`
	Subtotal int64 `json:"subtotal"`
	Discount int64 `json:"discount"`
	Total    int64 `json:"total"`
}

// shopper is a login that may shop.
func (w *walk) shopper(t *testing.T, user string) string {
	t.Helper()
	return w.logIn(t, "mobile", user, "openid", "eventcatalog.read", "shoppingbasket.read", "shoppingbasket.write").AccessToken
}

func TestTheBasketIsItsOwners(t *testing.T) {
	w := inProcess(t)
	alice, bob := w.shopper(t, "alice"), w.shopper(t, "bob")
	show := func(token string) (b basket) {
		w.api(t, basketPath, token, "").read(t, http.StatusOK, &b)
		return b
	}
	w.api(t, basketPath, alice, `{"event":"e1","quantity":0}`) // another test may have left something
	before := show(bob)
	var answered basket
	w.api(t, basketPath, alice, `{"event":"e1","quantity":2}`).read(t, http.StatusOK, &answered)
	if len(answered.Lines) != 1 || answered.Subtotal != 9000 || answered.Discount != 450 || answered.Total != 8550 {
		t.Errorf("two tickets at 45.00, less 5 %%: %+v", answered)
	}
	if got := show(alice); len(got.Lines) != 1 || got.Total != 8550 {
		t.Errorf("alice's basket: %+v", got)
	}
	if got := show(bob); len(got.Lines) != len(before.Lines) || got.Subtotal != before.Subtotal {
		t.Errorf("bob sees of alice's basket: %+v", got)
	}
	w.api(t, basketPath, bob, `{"event":"e3","quantity":1}`).read(t, http.StatusOK, &answered)
	if got := show(alice); len(got.Lines) != 1 || got.Lines[0].Event != "e1" {
		t.Errorf("alice's basket after bob's: %+v", got)
	}
	if got := w.api(t, basketPath, w.logIn(t, "mobile", "alice", "shoppingbasket.read").AccessToken, `{"event":"e1","quantity":9}`); got.status != http.StatusForbidden {
		t.Errorf("without the scope to write: status %d", got.status)
	}
}

// TestWhatTheDiscountAPIGets: a token for it alone, about the same person, that says who acts, though neither the app nor
// what the basket received has its scope.
func TestWhatTheDiscountAPIGets(t *testing.T) {
	w := inProcess(t)
	alice := w.shopper(t, "alice")
	var atBasket, atDiscount seen
	w.api(t, "/api/shoppingbasket/whoami", alice, "").read(t, http.StatusOK, &atBasket)
	w.api(t, whoamiDiscount, alice, "").read(t, http.StatusOK, &atDiscount)
	got := atDiscount.Claims
	act, _ := got["act"].(map[string]any)
	if got["aud"] != "discount" || got["scope"] != "discount.fullaccess" || got["client_id"] != "shoppingbasket" || act["sub"] != "shoppingbasket" ||
		got["sub"] != atBasket.Claims["sub"] || got["region"] != nil || got["jti"] == atBasket.Claims["jti"] {
		t.Errorf("the discount API got %v; the basket %v", got, atBasket.Claims)
	}
	iat, _ := got["iat"].(json.Number).Int64()
	exp, _ := got["exp"].(json.Number).Int64()
	if exp-iat > 60 {
		t.Errorf("it lives for %d s", exp-iat)
	}
	if got := w.api(t, "/api/discount/whoami", alice, ""); got.status != http.StatusNotFound {
		t.Errorf("the gateway has a route to the discount API: status %d", got.status)
	}
}

// TestTheDiscountAPIRefusesWhatIsNotMeantForIt, whoever sends it. The control is an exchanged token.
func TestTheDiscountAPIRefusesWhatIsNotMeantForIt(t *testing.T) {
	w := inProcess(t)
	alice := w.shopper(t, "alice")
	received := w.phantom(t, alice, "shoppingbasket")
	own := w.machine(t, "shoppingbasket", "eventcatalog.read")
	for name, c := range map[string]struct {
		token string
		want  int
	}{
		"exchanged":                           {w.exchange(t, "shoppingbasket", received, http.StatusOK), http.StatusOK},
		"alice's reference":                   {alice, http.StatusUnauthorized},
		"what the basket received":            {received, http.StatusUnauthorized},
		"alice's token for the eventcatalog":  {w.phantom(t, alice, "eventcatalog"), http.StatusUnauthorized},
		"the basket's own reference":          {own, http.StatusUnauthorized},
		"the basket's own, for eventcatalog":  {w.phantom(t, own, "eventcatalog"), http.StatusUnauthorized},
		"all that alice's app may have":       {w.phantom(t, alice, ""), http.StatusUnauthorized},
		"nothing but a name":                  {"", http.StatusUnauthorized},
		"exchanged, with a changed signature": {flipped(w.exchange(t, "shoppingbasket", received, http.StatusOK)), http.StatusUnauthorized},
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.demo.DiscountURL+discount.QuotePath, strings.NewReader(`{"tickets":2,"subtotal":100}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-User", "alice")
		if c.token != "" {
			req.Header.Set("Authorization", "Bearer "+c.token)
		}
		if got := w.do(t, req); got.status != c.want {
			t.Errorf("%s: status %d, want %d: %s", name, got.status, c.want, got.body)
		}
	}
	w.exchange(t, "shoppingbasket", alice, http.StatusBadRequest)
	w.exchange(t, "shoppingbasket", w.phantom(t, alice, "eventcatalog"), http.StatusBadRequest)
	w.exchange(t, "batch", received, http.StatusBadRequest)
}

// TestRevocationEndsTheExchange: once alice is revoked, nobody exchanges what was received for her, and the basket, which a
// JWT that is still in time reaches, has nothing for her.
func TestRevocationEndsTheExchange(t *testing.T) {
	w := inProcess(t)
	alice, bob := w.shopper(t, "alice"), w.shopper(t, "bob")
	received, bobs := w.phantom(t, alice, "shoppingbasket"), w.phantom(t, bob, "shoppingbasket")
	w.exchange(t, "shoppingbasket", received, http.StatusOK)
	var done struct{}
	w.operate(t, w.machine(t, "operator", "admin"), "/admin/v1/revocations", `{"user":"alice"}`).read(t, http.StatusOK, &done)
	w.exchange(t, "shoppingbasket", received, http.StatusBadRequest)
	w.exchange(t, "shoppingbasket", bobs, http.StatusOK) // the control
	past := func(token string) answer {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.demo.ShoppingbasketURL+whoamiDiscount, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		return w.do(t, req)
	}
	past(received).refused(t, http.StatusUnauthorized, "invalid_token")
	if got := past(bobs); got.status != http.StatusOK {
		t.Errorf("bob: status %d: %s", got.status, got.body)
	}
	w.refusedAt(t, basketPath, alice)
}

// refusedAt asks the gateway until it refuses: its cache lets go within a second.
func (w *walk) refusedAt(t *testing.T, path, token string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		if got := w.api(t, path, token, ""); got.status != http.StatusOK {
			got.refused(t, http.StatusUnauthorized, "invalid_token")
			return
		}
		if ctx.Err() != nil {
			t.Fatalf("%s still answers after %v", path, time.Duration(patience))
		}
	}
}

// phantom is what an API of that audience receives for a reference.
func (w *walk) phantom(t *testing.T, reference, audience string) string {
	t.Helper()
	values := url.Values{"token": {reference}}
	if audience != "" {
		values.Set("audience", audience)
	}
	return w.jwt(t, "/oauth/introspect", values)
}

// exchange exchanges what a client received for a token of the discount API, and wants a status.
func (w *walk) exchange(t *testing.T, client, received string, status int) string {
	t.Helper()
	got := w.form(t, "/oauth/token", client, url.Values{"grant_type": {exchangeGrant}, "subject_token": {received},
		"subject_token_type": {accessType}, "audience": {"discount"}})
	var answer struct {
		Token string `json:"access_token"`
		Error string `json:"error"`
	}
	got.read(t, status, &answer)
	if (answer.Token != "") != (status == http.StatusOK) {
		t.Errorf("status %d, error %q", got.status, answer.Error)
	}
	return answer.Token
}
