package phantomtoken

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const foreignReference = "_0XBPWQQ_453276c1-8c62-47f7+/=="

// newForeign is a Swapper whose issuer answers in this way.
func newForeign(t *testing.T, a Answer, changes ...func(*Config)) *fixture {
	t.Helper()
	f := newFixture(t, append([]func(*Config){func(c *Config) { c.Answer = a }}, changes...)...)
	f.issuer.claims = map[string]any{"scope": "orders.read"}
	return f
}

// answers has the issuer answer with JSON, in which JWT stands for a JWT.
func (f *fixture) answers(status int, header http.Header, body string) {
	f.issuer.answer = func(*http.Request) *http.Response {
		resp := respond(status, "application/json; charset=utf-8", strings.ReplaceAll(body, "JWT", f.issuer.mint()))
		for name, values := range header {
			resp.Header[name] = values
		}
		return resp
	}
}

const exchangedBody = `{"access_token":"JWT","issued_token_type":"urn:ietf:params:oauth:token-type:access_token","token_type":"Bearer"}`

// TestForeignAnswers: what each kind of answer says. "refused" is the issuer's fault.
func TestForeignAnswers(t *testing.T) {
	tests := map[string]struct {
		answer Answer
		status int
		body   string
		want   error
	}{
		"jwt member":                      {AnswerJSONJWT, 200, `{"active":true,"jwt":"JWT","scope":"other","exp":1}`, nil},
		"phantom_token member":            {AnswerJSONPhantomToken, 200, ` { "phantom_token" : "JWT" , "active" : true } `, nil},
		"Bearer in another case":          {AnswerJSONJWT, 200, `{"active":true,"jwt":"JWT","token_type":"bearer"}`, nil},
		"the other member":                {AnswerJSONJWT, 200, `{"active":true,"phantom_token":"JWT"}`, ErrIssuer},
		"the member in another case":      {AnswerJSONJWT, 200, `{"active":true,"Jwt":"JWT"}`, ErrIssuer},
		"inactive":                        {AnswerJSONJWT, 200, `{"active":false}`, ErrInactive},
		"inactive with a JWT":             {AnswerJSONJWT, 200, `{"active":false,"jwt":"JWT"}`, ErrInactive},
		"no active":                       {AnswerJSONJWT, 200, `{"jwt":"JWT"}`, ErrIssuer},
		"active in another case":          {AnswerJSONJWT, 200, `{"Active":true,"jwt":"JWT"}`, ErrIssuer},
		"active as text":                  {AnswerJSONJWT, 200, `{"active":"true","jwt":"JWT"}`, ErrIssuer},
		"active, null":                    {AnswerJSONJWT, 200, `{"active":null,"jwt":"JWT"}`, ErrIssuer},
		"active twice":                    {AnswerJSONJWT, 200, `{"active":false,"active":true,"jwt":"JWT"}`, ErrIssuer},
		"two JWTs":                        {AnswerJSONJWT, 200, `{"active":true,"jwt":"JWT","\u006awt":"JWT"}`, ErrIssuer},
		"a sender's key":                  {AnswerJSONJWT, 200, `{"active":true,"jwt":"JWT","token_type":"DPoP"}`, ErrIssuer},
		"a refresh token":                 {AnswerJSONJWT, 200, `{"active":true,"jwt":"JWT","token_type":"refresh_token"}`, ErrIssuer},
		"nothing":                         {AnswerJSONJWT, 200, ``, ErrIssuer},
		"blanks":                          {AnswerJSONJWT, 200, "  \n", ErrIssuer},
		"204 of JSON":                     {AnswerJSONJWT, 204, ``, ErrIssuer},
		"403 of JSON":                     {AnswerJSONJWT, 403, `{"error":"insufficient_scope"}`, ErrIssuer},
		"400 of JSON":                     {AnswerJSONJWT, 400, `{"error":"invalid_request"}`, ErrIssuer},
		"204 of Curity":                   {AnswerJWT, 204, ``, ErrInactive},
		"403 of Curity":                   {AnswerJWT, 403, `{"error":"insufficient_scope"}`, ErrIssuer},
		"JSON of Curity":                  {AnswerJWT, 200, `{"active":true,"jwt":"JWT"}`, ErrIssuer},
		"exchanged":                       {AnswerTokenExchange, 200, exchangedBody, nil},
		"exchanged for a jwt":             {AnswerTokenExchange, 200, strings.Replace(exchangedBody, ":access_token\"", ":jwt\"", 1), nil},
		"exchanged for an ID token":       {AnswerTokenExchange, 200, strings.Replace(exchangedBody, ":access_token\"", ":id_token\"", 1), ErrIssuer},
		"exchanged without its type":      {AnswerTokenExchange, 200, `{"access_token":"JWT","token_type":"Bearer"}`, ErrIssuer},
		"exchanged, N_A":                  {AnswerTokenExchange, 200, strings.Replace(exchangedBody, "Bearer", "N_A", 1), ErrIssuer},
		"exchange: dead subject":          {AnswerTokenExchange, 400, `{"error":"invalid_request"}`, ErrInactive},
		"exchange: dead, other code":      {AnswerTokenExchange, 400, `{"error":"invalid_grant"}`, ErrInactive},
		"exchange: scope":                 {AnswerTokenExchange, 400, `{"error":"invalid_scope"}`, ErrInsufficient},
		"exchange: may not":               {AnswerTokenExchange, 400, `{"error":"unauthorized_client"}`, ErrIssuer},
		"exchange: target":                {AnswerTokenExchange, 400, `{"error":"invalid_target"}`, ErrIssuer},
		"exchange: no JSON":               {AnswerTokenExchange, 400, `<p>invalid_request`, ErrIssuer},
		"exchange: 403":                   {AnswerTokenExchange, 403, `{"error":"invalid_request"}`, ErrIssuer},
		"exchange: negative expires_in":   {AnswerTokenExchange, 200, strings.Replace(exchangedBody, "{", `{"expires_in":-1,`, 1), ErrIssuer},
		"exchange: expires_in that is 1h": {AnswerTokenExchange, 200, strings.Replace(exchangedBody, "{", `{"expires_in":"1h",`, 1), ErrIssuer},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			f := newForeign(t, test.answer)
			f.answers(test.status, nil, test.body)
			token, _, err := f.swap(foreignReference)
			if !errors.Is(err, test.want) || (err == nil) != (token.Header != nil) {
				t.Errorf("got %v, want %v", err, test.want)
			}
		})
	}
}

// TestForeignForms: what is sent to each kind of issuer, and how it is told who asks.
func TestForeignForms(t *testing.T) {
	introspected := url.Values{"token": {foreignReference}}
	exchanged := url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "subject_token": {foreignReference},
		"subject_token_type": {typeAccessToken}, "requested_token_type": {typeAccessToken},
		"audience": {"orders"}, "scope": {"orders.read orders.write"},
	}
	for a, want := range map[Answer]url.Values{
		AnswerJWT: introspected, AnswerJSONJWT: introspected, AnswerJSONPhantomToken: introspected, AnswerTokenExchange: exchanged,
	} {
		for _, auth := range []ClientAuth{ClientAuthBasic, ClientAuthPost} {
			f := newForeign(t, a, func(c *Config) { c.ClientAuth = auth })
			var sent *http.Request
			f.issuer.answer = func(r *http.Request) *http.Response { sent = r; return respond(500, "", "") }
			f.swap(foreignReference)
			got, err := url.ParseQuery(f.issuer.asked[0])
			if err != nil {
				t.Fatal(err)
			}
			if auth == ClientAuthPost {
				if got.Get("client_id") != "gate way" || got.Get("client_secret") != "canary:secret" {
					t.Errorf("%s: credentials in the form: %v", a, len(got))
				}
				got.Del("client_id")
				got.Del("client_secret")
			}
			if got.Encode() != want.Encode() || (sent.Header.Get("Authorization") == "") != (auth == ClientAuthPost) {
				t.Errorf("%s, %s: %v", a, auth, got)
			}
		}
	}
}

// TestForeignReferences: they are of any shape that a bearer token has, and no two share a key.
func TestForeignReferences(t *testing.T) {
	plain, jwt := references{foreign: true}, references{foreign: true, jwt: true}
	for s, want := range map[string]struct{ plain, jwt bool }{
		"a": {true, true}, foreignReference: {true, true}, "ory_at_x.y": {true, true}, "a.b.c": {false, true}, "a.b.c.d.e": {false, true},
		strings.Repeat("a", mostForeign): {true, true}, strings.Repeat("a", mostForeign+1): {}, "": {}, "=": {}, "a=b": {}, "a b": {}, "a\x00": {}, "é": {}, "a\n": {},
	} {
		if plain.has(s) != want.plain || jwt.has(s) != want.jwt {
			t.Errorf("%.40q: %t, %t", s, plain.has(s), jwt.has(s))
		}
	}
	f := newForeign(t, AnswerJWT)
	for _, pair := range [][2]string{{"a", "a\x00"}, {strings.Repeat("a", 54), strings.Repeat("a", 55)}, {strings.Repeat("a", 4096), strings.Repeat("a", 4095) + "b"}} {
		if keyFor(pair[0], f.ask) == keyFor(pair[1], f.ask) {
			t.Errorf("%.9q… and %.9q… share a key", pair[0], pair[1])
		}
	}
}

// FuzzForeignAnswer: whatever a foreign issuer says, an answer is used only when it says active: true, or the type of
// what was exchanged, once, and brings a JWT.
func FuzzForeignAnswer(f *testing.F) {
	f.Add(`{"active":true,"jwt":"a.b.c"}`)
	f.Add(`{"active":false,"active":true,"jwt":"a.b.c"}`)
	f.Add(exchangedBody)
	f.Fuzz(func(t *testing.T, body string) {
		resp := respond(200, "application/json", "")
		if found, err := readMember("jwt")(resp, []byte(body)); err == nil && (found.jwt == "" || !strings.Contains(body, "true")) {
			t.Errorf("%q was taken for active", body)
		}
		if found, err := readExchanged(resp, []byte(body)); err == nil && found.jwt == "" {
			t.Errorf("%q was taken for a token", body)
		}
	})
}

// TestForeignLifetime: a foreign issuer's tokens live no longer than ours, and shorter when it says so. What every token
// answer must say to caches on the way (no-store) does not count for the token in it.
func TestForeignLifetime(t *testing.T) {
	noStore := http.Header{"Cache-Control": {"no-store"}}
	for name, test := range map[string]struct {
		answer Answer
		header http.Header
		body   string
		want   time.Duration
	}{
		"introspected":            {AnswerJSONJWT, nil, `{"active":true,"jwt":"JWT"}`, time.Second},
		"introspected, no-store":  {AnswerJSONJWT, noStore, `{"active":true,"jwt":"JWT"}`, 0},
		"exchanged":               {AnswerTokenExchange, noStore, exchangedBody, time.Second},
		"exchanged, expires_in 0": {AnswerTokenExchange, noStore, strings.Replace(exchangedBody, "{", `{"expires_in":0,`, 1), 0},
		"exchanged, expires_in":   {AnswerTokenExchange, noStore, strings.Replace(exchangedBody, "{", `{"expires_in":300,`, 1), time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			f := newForeign(t, test.answer)
			f.answers(200, test.header, test.body)
			f.mustSwap(foreignReference, false)
			f.clock.advance(test.want - time.Millisecond)
			if test.want > 0 {
				f.mustSwap(foreignReference, true)
			}
			f.clock.advance(time.Millisecond)
			f.mustSwap(foreignReference, false)
		})
	}
}

func TestNewRefusesWhatItDoesNotKnow(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"Answer": func(c *Config) { c.Answer = "keycloak" }, "ClientAuth": func(c *Config) { c.ClientAuth = "none" },
		"Accept": func(c *Config) { c.Accept.OtherScopes = true },
	} {
		var cfg Config
		newFixture(t, func(c *Config) { cfg = *c })
		change(&cfg)
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestForeignContentType(t *testing.T) {
	for a, contentTypes := range map[Answer][]string{
		AnswerJWT:     {"", "text/html", "application/json", "application/jwt, text/html", "application/token-introspection+jwt"},
		AnswerJSONJWT: {"", "text/html", "application/jwt", "text/json"},
	} {
		for _, contentType := range contentTypes {
			f := newForeign(t, a)
			f.issuer.answer = func(*http.Request) *http.Response {
				body := f.issuer.mint()
				if a == AnswerJSONJWT {
					body = `{"active":true,"jwt":"` + body + `"}`
				}
				return respond(200, contentType, body)
			}
			if _, _, err := f.swap(foreignReference); !errors.Is(err, ErrIssuer) {
				t.Errorf("%s as %q: %v", a, contentType, err)
			}
		}
	}
}

// TestForeignJWTs: what passes by name and no further, for an issuer that cannot narrow and for one that was asked to.
func TestForeignJWTs(t *testing.T) {
	type m = map[string]any
	all := Accept{OtherAudiences: true, OtherScopes: true, TypJWT: true, JWTReferences: true}
	tests := map[string]struct {
		accept              Accept
		header, claims      m
		want, wantExchanged error
	}{
		"as ours":                    {Accept{}, nil, nil, nil, nil},
		"other audiences":            {Accept{}, nil, m{"aud": []string{"orders", "basket"}}, ErrIssuer, ErrIssuer},
		"other audiences, named":     {Accept{OtherAudiences: true}, nil, m{"aud": []string{"basket", "orders"}}, nil, nil},
		"another audience":           {all, nil, m{"aud": "basket"}, ErrInsufficient, ErrIssuer},
		"two others":                 {all, nil, m{"aud": []string{"basket", "account"}}, ErrInsufficient, ErrIssuer},
		"no audience":                {all, nil, m{"aud": nil}, ErrIssuer, ErrIssuer},
		"an empty audience":          {all, nil, m{"aud": []string{}}, ErrIssuer, ErrIssuer},
		"other scopes":               {Accept{}, nil, m{"scope": "orders.read openid"}, ErrIssuer, ErrIssuer},
		"other scopes, named":        {Accept{OtherScopes: true}, nil, m{"scope": "orders.read openid"}, nil, nil},
		"nothing but other scopes":   {Accept{}, nil, m{"scope": "openid"}, ErrInsufficient, ErrIssuer},
		"typ JWT":                    {Accept{}, m{"typ": "JWT"}, nil, ErrIssuer, ErrIssuer},
		"typ JWT, named":             {Accept{TypJWT: true}, m{"typ": "JWT"}, nil, nil, nil},
		"typ at+jwt where JWT may":   {Accept{TypJWT: true}, nil, nil, nil, nil},
		"typ of a logout token":      {all, m{"typ": "logout+jwt"}, nil, ErrIssuer, ErrIssuer},
		"no typ":                     {all, m{"typ": nil}, nil, ErrIssuer, ErrIssuer},
		"bound to a key":             {all, nil, m{"cnf": m{"jkt": "x"}}, ErrIssuer, ErrIssuer},
		"bound to nothing one knows": {all, nil, m{"cnf": false}, ErrIssuer, ErrIssuer},
		"another issuer":             {all, nil, m{"iss": "https://elsewhere.example"}, ErrIssuer, ErrIssuer},
		"no end":                     {all, nil, m{"exp": nil}, ErrIssuer, ErrIssuer},
	}
	for name, test := range tests {
		for a, want := range map[Answer]error{AnswerJSONJWT: test.want, AnswerTokenExchange: test.wantExchanged} {
			t.Run(name+", "+string(a), func(t *testing.T) {
				f := newForeign(t, a, func(c *Config) { c.Accept = test.accept })
				body := `{"active":true,"jwt":"JWT"}`
				if a == AnswerTokenExchange {
					body = exchangedBody
				}
				f.answers(200, nil, body)
				f.issuer.header, f.issuer.claims = test.header, test.claims
				if token, _, err := f.swap(foreignReference); !errors.Is(err, want) || (err == nil) != (token.Header != nil) {
					t.Errorf("got %v, want %v", err, want)
				}
			})
		}
	}
}
