package attack

import (
	"net/http"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// TestAnAnswerableRequestCanBeAnswered sends the largest requests that are taken, of letters that grow on their way
// through our pages: who has typed a password must not hear then that the request was too long.
func TestAnAnswerableRequestCanBeAnswered(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	for name, letter := range map[string]string{"plain": "x", "a bracket": "<", "a quote": `"`, "beyond ASCII": "é", "a line end": "\n"} {
		state := ""
		for n := 16 << 10; n > 0; n /= 2 { // the longest that is taken, to the letter
			for {
				a := rptest.Web().Ask("openid", "state", state+strings.Repeat(letter, n))
				if got := w.Get(t, "/oauth/authorize?"+a.Params.Encode()); got.Status != http.StatusOK {
					break
				}
				state = a.Params.Get("state")
			}
		}
		a := rptest.Web().Ask("openid", "state", state)
		if answer := w.LogIn(t, w.Browser(t), "alice", a); answer.Get("code") == "" || len(state) < 1000 {
			t.Errorf("%s: %d bytes of state", name, len(state))
		}
	}
}

// TestHugeInputs sends what is larger than anybody needs, everywhere.
func TestHugeInputs(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	huge := strings.Repeat("x", 60<<10)
	tokens := w.TokensFor(t, w.Browser(t), "alice", rptest.Web().Ask("openid catalogue.read"))
	for what, c := range map[string]struct {
		got    rptest.Reply
		status int
	}{
		"a query":               {w.Get(t, "/oauth/authorize?state="+huge[:20<<10]), 400},
		"a query for logout":    {w.Get(t, "/oauth/logout?state="+huge[:20<<10]), 400},
		"an address":            {w.Get(t, "/oauth/authorize?state="+huge), 431},
		"a posted request":      {w.Post(t, "/oauth/authorize", rptest.App{}, rptest.Form("state", huge)), 400},
		"a code":                {w.Post(t, "/oauth/token", rptest.Web(), rptest.Form("grant_type", "authorization_code", "code", huge, "redirect_uri", "x", "code_verifier", "x")), 400},
		"a refresh token":       {w.Refresh(t, rptest.Web(), huge), 400},
		"a secret":              {w.Post(t, "/oauth/token", rptest.App{}, rptest.Form("grant_type", "client_credentials", "client_id", "job", "client_secret", huge)), 401},
		"a token to ask about":  {w.Post(t, "/oauth/introspect", rptest.Gateway(), rptest.Form("token", huge)), 200},
		"a token to revoke":     {w.Post(t, "/oauth/revoke", rptest.Web(), rptest.Form("token", huge)), 200},
		"scopes to ask about":   {w.Post(t, "/oauth/introspect", rptest.Gateway(), rptest.Form("token", tokens.Access, "scope", strings.Repeat("a ", 20_000))), 200},
		"very many scopes":      {w.Post(t, "/oauth/token", rptest.Job(), rptest.Form("grant_type", "client_credentials", "scope", manyScopes())), 400},
		"a bearer":              {w.Userinfo(t, huge[:20<<10]), 401},
		"a ticket":              {w.Post(t, "/oauth/login", rptest.App{}, rptest.Form("ticket", huge)), 400},
		"Accept":                {w.Post(t, "/oauth/introspect", rptest.Gateway(), rptest.Form("token", tokens.Access), "Accept", strings.Repeat("a/b;q=0.1,", 2_000)), 200},
		"cookies":               {w.Get(t, "/oauth/logout", "Cookie", strings.Repeat("__Host-pgas-session=x; ", 1_000)), 200},
		"an operator's request": {w.Operate(t, w.Machine(t, rptest.Operator()), "POST", "/admin/v1/revocations", strings.Repeat("[", 15<<10)), 400},
	} {
		if c.got.Status != c.status {
			t.Errorf("%s: %d, want %d: %.300s", what, c.got.Status, c.status, c.got.Body)
		}
	}
	if !w.Active(t, tokens.Access) {
		t.Error("the issuer is not what it was")
	}
}

// manyScopes are 10,000 different ones.
func manyScopes() string {
	var b strings.Builder
	for i := range 10_000 {
		b.WriteByte(' ')
		for n := i + 1; n > 0; n /= 26 {
			b.WriteByte(byte('a' + n%26))
		}
	}
	return b.String()
}
