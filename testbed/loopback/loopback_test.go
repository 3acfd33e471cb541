package loopback_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/loopback"
	"golang.org/x/oauth2"
)

// issuer answers discovery and takes any code whose verifier fits the challenge it saw.
type issuer struct {
	*httptest.Server
	name      string // what its metadata says, the server's address unless set
	challenge string
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/oauth-authorization-server", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"issuer":%q,"authorization_endpoint":%q,"token_endpoint":%q}`, i.name, i.URL+"/authorize", i.URL+"/token")
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("code") != "c" || oauth2.S256ChallengeFromVerifier(r.FormValue("code_verifier")) != i.challenge {
			http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"reference","token_type":"Bearer"}`)
	})
	i.Server = httptest.NewServer(mux)
	i.name = i.URL
	t.Cleanup(i.Close)
	return i
}

// comeBack is a browser that returns at once with these parameters beside the state.
func (i *issuer) comeBack(answers ...url.Values) func(string) error {
	return func(address string) error {
		u, err := url.Parse(address)
		if err != nil {
			return err
		}
		i.challenge = u.Query().Get("code_challenge")
		for _, answer := range answers {
			if !answer.Has("state") {
				answer.Set("state", u.Query().Get("state"))
			}
			resp, err := http.Get(u.Query().Get("redirect_uri") + "?" + answer.Encode())
			if err != nil {
				return err
			}
			_ = resp.Body.Close()
		}
		return nil
	}
}

func TestLogin(t *testing.T) {
	for name, c := range map[string]struct {
		answers []url.Values
		named   string
		want    string // of the error; empty: it works
	}{
		"works":                        {answers: []url.Values{{"code": {"c"}}}},
		"a stranger's answer first":    {answers: []url.Values{{"code": {"x"}, "state": {"guess"}}, {"code": {"c"}}}},
		"refused":                      {answers: []url.Values{{"error": {"access_denied"}}}, want: "access_denied"},
		"another issuer's answer":      {answers: []url.Values{{"code": {"c"}, "iss": {"https://evil.example"}}}, want: "evil.example"},
		"no code":                      {answers: []url.Values{{}}, want: "no code"},
		"a wrong code":                 {answers: []url.Values{{"code": {"x"}}}, want: "invalid_grant"},
		"metadata of another issuer":   {named: "https://evil.example", want: "evil.example"},
		"nobody comes back in time":    {want: "waiting"},
		"only a stranger ever answers": {answers: []url.Values{{"code": {"c"}, "state": {"guess"}}}, want: "waiting"},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t)
			if c.named != "" {
				i.name = c.named
			}
			ctx, cancel := context.WithCancel(t.Context())
			for _, answer := range c.answers {
				if !answer.Has("iss") {
					answer.Set("iss", i.URL)
				}
			}
			browse := i.comeBack(c.answers...)
			client := loopback.Client{Issuer: i.URL, ID: "mobile", Scopes: []string{"a"}, HTTP: i.Client()}
			token, err := client.Login(ctx, func(address string) error {
				err := browse(address)
				if c.want == "waiting" {
					cancel() // nobody else will come
				}
				return err
			})
			cancel()
			switch {
			case c.want == "" && (err != nil || token.AccessToken != "reference"):
				t.Errorf("got %v, %v", token, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, want an error about %q", err, c.want)
			}
		})
	}
}
