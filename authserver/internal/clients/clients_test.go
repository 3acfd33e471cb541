package clients

import (
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/internal/config"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

const partnerSecret = "s:cr%t+with every sign"

func registry(t testing.TB) *Registry {
	t.Helper()
	r, err := New(config.Config{Clients: []config.Client{
		{ID: "partner", Secret: config.NewSecret(partnerSecret)},
		{ID: "batch", Secret: config.NewSecret("batch-secret")},
		{ID: "mobile", Public: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func basicHeader(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
}

func TestAuthenticate(t *testing.T) {
	encoded := basicHeader("partner", url.QueryEscape(partnerSecret))
	for name, tc := range map[string]struct {
		headers []string
		form    string
		want    string // "" is refused
	}{
		"basic":                          {headers: []string{encoded}, want: "partner"},
		"basic, scheme in lower case":    {headers: []string{"basic" + encoded[5:]}, want: "partner"},
		"basic, not encoded":             {headers: []string{basicHeader("batch", "batch-secret")}, want: "batch"},
		"basic, and its own client_id":   {headers: []string{encoded}, form: "client_id=partner", want: "partner"},
		"post":                           {form: "client_id=partner&client_secret=" + url.QueryEscape(partnerSecret), want: "partner"},
		"public":                         {form: "client_id=mobile", want: "mobile"},
		"nothing":                        {},
		"basic, wrong secret":            {headers: []string{basicHeader("batch", "batch-secret2")}},
		"basic, no secret":               {headers: []string{basicHeader("batch", "")}},
		"basic, another's secret":        {headers: []string{basicHeader("partner", "batch-secret")}},
		"basic, unknown":                 {headers: []string{basicHeader("nobody", "batch-secret")}},
		"basic, empty id":                {headers: []string{basicHeader("", "batch-secret")}},
		"basic, broken encoding":         {headers: []string{basicHeader("partner", "%zz")}},
		"basic, broken base64":           {headers: []string{"Basic !"}},
		"basic twice":                    {headers: []string{encoded, encoded}},
		"basic and post":                 {headers: []string{encoded}, form: "client_id=partner&client_secret=" + url.QueryEscape(partnerSecret)},
		"basic and an empty post":        {headers: []string{encoded}, form: "client_secret="},
		"basic, and another client_id":   {headers: []string{encoded}, form: "client_id=batch"},
		"bearer":                         {headers: []string{"Bearer x"}, form: "client_id=mobile"},
		"post, wrong secret":             {form: "client_id=partner&client_secret=x"},
		"post, no secret":                {form: "client_id=partner"},
		"post, no id":                    {form: "client_secret=batch-secret"},
		"post, id twice":                 {form: "client_id=mobile&client_id=mobile"},
		"public with a secret":           {form: "client_id=mobile&client_secret=x"},
		"public by basic":                {headers: []string{basicHeader("mobile", "")}},
		"public, with another's basic":   {headers: []string{basicHeader("batch", "batch-secret")}, form: "client_id=mobile"},
		"the empty secret's hash is not": {form: "client_id=nobody&client_secret="},
	} {
		t.Run(name, func(t *testing.T) {
			req := httptest.NewRequest(http.MethodPost, "/oauth/token", nil)
			for _, h := range tc.headers {
				req.Header.Add("Authorization", h)
			}
			form, err := url.ParseQuery(tc.form)
			if err != nil {
				t.Fatal(err)
			}
			client, err := registry(t).Authenticate(req, form)
			if client.ID != tc.want {
				t.Fatalf("got %q: %v", client.ID, err)
			}
			if tc.want != "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !oauth.IsCode(err, oauth.InvalidClient) || err.Error() != errInvalidClient().Error() {
				t.Errorf("an answer of its own: %v", err)
			}
		})
	}
}

func TestAuthenticateByHashAlone(t *testing.T) {
	cfg, err := config.Parse("c.yaml", []byte(`
issuer: https://a.example.com
listen: :1
admin: {listen: "127.0.0.1:2"}
storage: {sqlite: db}
data_key: {env: KEY}
clients: [{id: a, secret: {sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b}}]
`), "/", func(string) (string, bool) { return "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", true })
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for secret, want := range map[string]bool{"secret": true, "Secret": false, "": false} {
		_, err := r.Authenticate(httptest.NewRequest(http.MethodPost, "/", nil), url.Values{"client_id": {"a"}, "client_secret": {secret}})
		if (err == nil) != want {
			t.Errorf("%q: %v", secret, err)
		}
	}
}

func TestFindKeepsTenantsApart(t *testing.T) {
	r := registry(t)
	if _, ok := r.Find(oauth.DefaultTenant, "batch"); !ok {
		t.Error("not found")
	}
	for _, at := range [][2]string{{"other", "batch"}, {"", "batch"}, {oauth.DefaultTenant, ""}, {oauth.DefaultTenant, "BATCH"}} {
		if _, ok := r.Find(at[0], at[1]); ok {
			t.Errorf("found %q", at)
		}
	}
}

func TestNewRefusesAmbiguousClients(t *testing.T) {
	secret := config.NewSecret("secret")
	for _, clients := range [][]config.Client{
		{{ID: "", Public: true}},
		{{ID: "a", Public: true}, {ID: "a", Public: true}},
		{{ID: "a", Public: true, Secret: secret}},
		{{ID: "a"}},
	} {
		if _, err := New(config.Config{Clients: clients}); err == nil {
			t.Errorf("accepted %+v", clients)
		}
	}
}

var registered = config.Client{RedirectURIs: []string{
	"https://app.example.com/cb?a=b", "http://127.0.0.1/callback", "http://[::1]:9000/callback", "http://localhost:8080/", "com.example.app:/cb", "http://127.0.0.1",
}}

func TestRedirectAllowed(t *testing.T) {
	for uri, want := range map[string]bool{
		"https://app.example.com/cb?a=b":                 true,
		"http://127.0.0.1/callback":                      true,
		"http://127.0.0.1:1/callback":                    true,
		"http://127.0.0.1:51004/callback":                true,
		"http://[::1]/callback":                          true,
		"http://[::1]:51004/callback":                    true,
		"http://localhost:8080/":                         true,
		"com.example.app:/cb":                            true,
		"http://127.0.0.1:51004":                         true,
		"":                                               false,
		"https://app.example.com/cb":                     false,
		"https://app.example.com/cb?a=b&c=d":             false,
		"https://app.example.com/cb?a=b#f":               false,
		"https://APP.example.com/cb?a=b":                 false,
		"https://app.example.com:443/cb?a=b":             false,
		"https://app.example.com/x/../cb?a=b":            false,
		"https://app.example.com.evil.example/cb?a=b":    false,
		"https://app.example.com/cb?a=b/":                false,
		"http://127.0.0.1/callback/":                     false,
		"http://127.0.0.1/Callback":                      false,
		"http://127.0.0.1:/callback":                     false,
		"http://127.0.0.1:080/callback":                  false,
		"http://127.0.0.1:123456/callback":               false,
		"http://127.0.0.1:80@evil.example/callback":      false,
		"http://127.0.0.1@evil.example/callback":         false,
		"http://127.0.0.1.evil.example/callback":         false,
		"http://127.0.0.1:80.evil.example/callback":      false,
		"http://127.0.0.1:80\\@evil.example/callback":    false,
		"http://127.0.0.1:80/callback#f":                 false,
		"http://127.0.0.1:80/callback?x":                 false,
		"http://127.0.0.2:80/callback":                   false,
		"http://2130706433:80/callback":                  false,
		"https://127.0.0.1:80/callback":                  false,
		"HTTP://127.0.0.1:80/callback":                   false,
		"http://localhost:8081/":                         false,
		"http://localhost/":                              false,
		"com.example.app:/cb?x":                          false,
		"http://[::1%25eth0]:51004/callback":             false,
		"http://[0:0:0:0:0:0:0:1]:51004/callback":        false,
		"http://127.0.0.1:51004/callback\r\nSet-Cookie:": false,
	} {
		if got := RedirectAllowed(registered, uri); got != want {
			t.Errorf("%q: %v", uri, got)
		}
	}
}

// FuzzRedirectAllowed: what is allowed leads, for a browser too, to where some registered URI leads, but for the port of a
// loopback address.
func FuzzRedirectAllowed(f *testing.F) {
	for _, uri := range registered.RedirectURIs {
		f.Add(uri)
	}
	f.Add("http://127.0.0.1:80@evil.example/callback")
	f.Add("http://[::1]:1/callback")
	f.Fuzz(func(t *testing.T, uri string) {
		if !RedirectAllowed(registered, uri) {
			return
		}
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatalf("%q was allowed: %v", uri, err)
		}
		for _, candidate := range registered.RedirectURIs {
			if candidate == uri {
				return
			}
			if r, err := url.Parse(candidate); err == nil && r.Hostname() == u.Hostname() && r.EscapedPath() == u.EscapedPath() &&
				r.RawQuery == u.RawQuery && u.Fragment == "" && u.User == nil && !strings.Contains(uri, "@") && u.Scheme == "http" {
				return
			}
		}
		t.Errorf("%q leads elsewhere", uri)
	})
}
