package discount_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/apis/apitest"
	"github.com/phantomgate/phantomgate/testbed/apis/discount"
)

func newAPI(t *testing.T) *apitest.API {
	t.Helper()
	issuer := apitest.NewIssuer(t)
	handler, err := discount.New(discount.Config{Issuer: issuer.Name, JWKSURL: issuer.JWKSURL})
	if err != nil {
		t.Fatal(err)
	}
	return issuer.Serve(t, handler)
}

func TestQuotes(t *testing.T) {
	a := newAPI(t)
	token := a.Token(t, "u-1", "discount", "discount.fullaccess")
	for body, want := range map[string]discount.Quote{
		`{"tickets":0,"subtotal":0}`:                     {},
		`{"tickets":1,"subtotal":4500}`:                  {},
		`{"tickets":2,"subtotal":9000}`:                  {Percent: 5, Discount: 450},
		`{"tickets":4,"subtotal":999}`:                   {Percent: 5, Discount: 49},
		`{"tickets":5,"subtotal":1001}`:                  {Percent: 10, Discount: 100},
		`{"tickets":10000,"subtotal":100000000000}`:      {Percent: 10, Discount: 10000000000},
		`{"tickets":1,"subtotal":4500,"user":"u-2"}`:     {Percent: -1},
		`{"tickets":-1,"subtotal":4500}`:                 {Percent: -1},
		`{"tickets":1,"subtotal":-1}`:                    {Percent: -1},
		`{"tickets":1,"subtotal":100000000001}`:          {Percent: -1},
		`{"tickets":10001,"subtotal":1}`:                 {Percent: -1},
		`{"tickets":1,"subtotal":1.5}`:                   {Percent: -1},
		`{"tickets":1,"subtotal":1}{}`:                   {Percent: -1},
		`[]`:                                             {Percent: -1},
		`{"tickets":"` + strings.Repeat("9", 5000) + `"`: {Percent: -1},
	} {
		status, answer := a.Call(t, http.MethodPost, discount.QuotePath, token, body)
		if want.Percent < 0 {
			if status != http.StatusBadRequest && status != http.StatusRequestEntityTooLarge {
				t.Errorf("%.60s: status %d: %s", body, status, answer)
			}
			continue
		}
		var got discount.Quote
		if err := json.Unmarshal([]byte(answer), &got); err != nil || status != http.StatusOK || got != want {
			t.Errorf("%s: %d %s, want %+v", body, status, answer, want)
		}
	}
}

// TestOnlyItsOwnTokens: the scope alone opens nothing, nor does the audience alone.
func TestOnlyItsOwnTokens(t *testing.T) {
	a := newAPI(t)
	const order = `{"tickets":1,"subtotal":1}`
	for name, c := range map[string]struct {
		token string
		want  int
	}{
		"its own":              {a.Token(t, "u-1", "discount", "discount.fullaccess"), 200},
		"without its scope":    {a.Token(t, "u-1", "discount", "discount.read"), 403},
		"another audience":     {a.Token(t, "u-1", "shoppingbasket", "discount.fullaccess"), 401},
		"a machine's, of more": {a.Token(t, "shoppingbasket", "eventcatalog", "eventcatalog.read discount.fullaccess"), 401},
		"none":                 {"", 401},
	} {
		for _, call := range [][3]string{{http.MethodPost, discount.QuotePath, order}, {http.MethodGet, discount.WhoamiPath, ""}} {
			if status, body := a.Call(t, call[0], call[1], c.token, call[2]); status != c.want {
				t.Errorf("%s %s with %s: status %d, want %d: %s", call[0], call[1], name, status, c.want, body)
			}
		}
	}
}

func TestBadConfig(t *testing.T) {
	if _, err := discount.New(discount.Config{}); err == nil {
		t.Error("an empty config is taken")
	}
}
