package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/authservertest"
)

// TestWhereTheSecretGoes: to the issuer that was named, over https or loopback, and nowhere else.
func TestWhereTheSecretGoes(t *testing.T) {
	for name, c := range map[string]struct{ issuer, tokenEndpoint, want string }{
		"another issuer":    {"https://id.example.com", "SELF/oauth/token", `calls itself "https://id.example.com"; give --issuer its public name`},
		"in the open":       {"SELF", "http://192.0.2.1/oauth/token", "discovery: the token endpoint: http://192.0.2.1 would carry secrets in the open"},
		"nowhere":           {"SELF", "", "names no token endpoint"},
		"a redirect":        {"SELF", "SELF/elsewhere", "no token: answered 307 Temporary Redirect"},
		"no bearer token":   {"SELF", "SELF/odd", "answers without a bearer token"},
		"a control, as one": {"SELF", "SELF/oauth/token", ""},
	} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			server := httptest.NewServer(mux)
			defer server.Close()
			told := strings.NewReplacer("SELF", server.URL).Replace(fmt.Sprintf(`{"issuer":%q,"token_endpoint":%q}`, c.issuer, c.tokenEndpoint))
			text := func(body string) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
			}
			mux.HandleFunc("GET /.well-known/oauth-authorization-server", text(told))
			mux.HandleFunc("POST /oauth/token", text(`{"access_token":"a","token_type":"bearer"}`))
			mux.HandleFunc("POST /odd", text(`{"access_token":"a","token_type":"DPoP"}`))
			mux.Handle("POST /elsewhere", http.RedirectHandler("/oauth/token", http.StatusTemporaryRedirect))
			mux.HandleFunc("GET /admin/v1/gateways", text(`{"gateways":[]}`))
			l := lab{&authservertest.Issuer{URL: server.URL}}
			d := l.phantomctl(t, server.URL, nil, "gateways")
			if (d.code == 0) != (c.want == "") || !strings.Contains(d.err, c.want) {
				t.Errorf("exit code %d: %s", d.code, d.err)
			}
		})
	}
}
