package attack

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// wordsOnly wants an error_description that RFC 6749 allows (4.1.2.1 and 5.2: no quote, no backslash, nothing beyond
// ASCII), and that repeats nothing of what was sent but names.
func wordsOnly(t *testing.T, what, description string) {
	t.Helper()
	if description == "" {
		t.Errorf("%s: no description", what)
	}
	if i := strings.IndexFunc(description, func(r rune) bool { return r < 0x20 || r > 0x7e || r == '"' || r == '\\' }); i >= 0 {
		t.Errorf("%s: the description has a character that RFC 6749 does not allow: %q", what, description)
	}
}

// TestClientAuthenticationErrors tries to come in as somebody else: each failure is the same invalid_client, with a 401
// and the challenge (RFC 6749, 5.2).
func TestClientAuthenticationErrors(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	basic := func(s string) []string {
		return []string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(s))}
	}
	paths := map[string]url.Values{
		"/oauth/token":      rptest.Form("grant_type", "client_credentials"),
		"/oauth/introspect": rptest.Form("token", "x"),
		"/oauth/revoke":     rptest.Form("token", "x"),
	}
	var told []string
	for path, form := range paths {
		for name, c := range map[string]struct {
			form   url.Values
			header []string
		}{
			"nobody":                   {form, nil},
			"an unknown client":        {form, basic("nobody:x")},
			"a wrong secret":           {form, basic("job:x")},
			"no secret":                {form, basic("job:")},
			"no colon":                 {form, basic("job")},
			"an empty name":            {form, basic(":job-secret")},
			"broken base64":            {form, []string{"Authorization", "Basic %%%"}},
			"broken encoding":          {form, basic("job%zz:job-secret")},
			"another scheme":           {form, []string{"Authorization", "Bearer job-secret"}},
			"two headers":              {form, append(basic("job:job-secret"), basic("job:job-secret")...)},
			"both ways":                {rptest.With(form, "client_id", "job", "client_secret", "job-secret"), basic("job:job-secret")},
			"two names":                {rptest.With(form, "client_id", "gateway"), basic("job:job-secret")},
			"the id alone":             {rptest.With(form, "client_id", "job"), nil},
			"a wrong one in the form":  {rptest.With(form, "client_id", "job", "client_secret", "x"), nil},
			"capitals":                 {rptest.With(form, "client_id", "JOB", "client_secret", "job-secret"), nil},
			"a public one's secret":    {rptest.With(form, "client_id", "native", "client_secret", "x"), nil},
			"an assertion":             {rptest.With(form, "client_id", "job", "client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer", "client_assertion", "e30.e30."), nil},
			"the hash as the secret":   {form, basic("job:6d6ab9ff")},
			"a secret with a NUL":      {form, basic("job:job-secret%00")},
			"a secret and a space":     {form, basic("job:job-secret+")},
			"the secret in the header": {form, []string{"X-Client-Id", "job", "X-Client-Secret", "job-secret"}},
		} {
			got := posted(t, w, path, c.form.Encode(), append(c.header, "Content-Type", formType)...)
			got.Refused(t, http.StatusUnauthorized, "invalid_client")
			if challenge := got.Header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, "Basic realm=") {
				t.Errorf("%s, %s: challenge %q", path, name, challenge)
			}
			told = append(told, got.Text("error_description"))
		}
		// In the query it is as if it were not there at all.
		query := rptest.With(form, "client_id", "job", "client_secret", "job-secret").Encode()
		posted(t, w, path+"?"+query, form.Encode(), "Content-Type", formType).Refused(t, http.StatusUnauthorized, "invalid_client")
	}
	for _, description := range told {
		wordsOnly(t, "client authentication", description)
		if description != told[0] {
			t.Errorf("the refusals differ: %q, %q", description, told[0])
		}
	}
}

// TestErrorsSpeakAsTheRFCsDo collects every refusal that can be brought about from outside and looks at its words.
func TestErrorsSpeakAsTheRFCsDo(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	b := w.Browser(t)
	tokens := w.TokensFor(t, b, "alice", rptest.Web().Ask("openid offline_access catalogue.read"))
	const odd = "\"\\é\x00<b>\r\n"
	doubled := rptest.Web().Ask("openid").Params
	doubled[odd+strings.Repeat("x", 100)] = []string{"1", "2"}
	for what, params := range map[string]url.Values{
		"response_type": rptest.Web().Ask("openid", "response_type", odd).Params, "scope": rptest.Web().Ask("openid " + odd).Params,
		"unknown scope": rptest.Web().Ask("admin").Params, "no scope": rptest.Web().Ask("").Params, "prompt": rptest.Web().Ask("openid", "prompt", odd).Params,
		"none and more": rptest.Web().Ask("openid", "prompt", "none login").Params, "max_age": rptest.Web().Ask("openid", "max_age", odd).Params,
		"hint": rptest.Web().Ask("openid", "id_token_hint", odd).Params, "mode": rptest.Web().Ask("openid", "response_mode", odd).Params,
		"resource": rptest.Web().Ask("openid", "resource", odd).Params, "registration": rptest.Web().Ask("openid", "registration", odd).Params,
		"challenge": rptest.Web().Ask("openid", "code_challenge", odd).Params, "method": rptest.Web().Ask("openid", "code_challenge_method", odd).Params,
		"login":   rptest.Web().Ask("openid", "prompt", "none", "max_age", "0").Params,
		"consent": rptest.Web().Ask("openid catalogue.write", "prompt", "none").Params,
		"doubled": doubled,
	} {
		a := rptest.Asking{App: rptest.Web(), Params: params}
		answer := w.Answer(t, w.Open(t, b, a), a)
		if answer.Get("error") == "" || answer.Get("code") != "" {
			t.Errorf("%s: %v", what, answer)
		}
		wordsOnly(t, what, answer.Get("error_description"))
	}

	web, job, gateway := rptest.Web(), rptest.Job(), rptest.Gateway()
	for what, c := range map[string]struct {
		path string
		app  rptest.App
		form url.Values
		code string
	}{
		"no grant type":      {"/oauth/token", web, rptest.Form("x", "1"), "invalid_request"},
		"odd grant type":     {"/oauth/token", web, rptest.Form("grant_type", odd), "unsupported_grant_type"},
		"no code":            {"/oauth/token", web, rptest.Form("grant_type", "authorization_code"), "invalid_request"},
		"odd code":           {"/oauth/token", web, rptest.Form("grant_type", "authorization_code", "code", odd, "redirect_uri", odd, "code_verifier", odd), "invalid_grant"},
		"no refresh token":   {"/oauth/token", web, rptest.Form("grant_type", "refresh_token"), "invalid_request"},
		"odd refresh token":  {"/oauth/token", web, rptest.Form("grant_type", "refresh_token", "refresh_token", odd), "invalid_grant"},
		"odd scope":          {"/oauth/token", job, rptest.Form("grant_type", "client_credentials", "scope", odd), "invalid_scope"},
		"unknown scope":      {"/oauth/token", job, rptest.Form("grant_type", "client_credentials", "scope", "none-such"), "invalid_scope"},
		"long scope":         {"/oauth/token", job, rptest.Form("grant_type", "client_credentials", "scope", strings.Repeat("x", 30_000)), "invalid_scope"},
		"odd audience":       {"/oauth/token", job, rptest.Form("grant_type", "client_credentials", "audience", odd), "invalid_target"},
		"two audiences":      {"/oauth/token", job, rptest.Form("grant_type", "client_credentials", "audience", "catalogue", "resource", "basket"), "invalid_target"},
		"nothing to be had":  {"/oauth/token", job, rptest.Form("grant_type", "client_credentials", "audience", "basket"), "invalid_target"},
		"doubled":            {"/oauth/token", job, url.Values{odd: {"1", "2"}, "grant_type": {"client_credentials"}}, "invalid_request"},
		"no token to ask":    {"/oauth/introspect", gateway, rptest.Form("x", "1"), "invalid_request"},
		"odd audience there": {"/oauth/introspect", gateway, rptest.Form("token", tokens.Access, "audience", odd), "invalid_target"},
		"odd scope there":    {"/oauth/introspect", gateway, rptest.Form("token", tokens.Access, "scope", odd), "invalid_scope"},
		"no token to revoke": {"/oauth/revoke", web, rptest.Form("x", "1"), "invalid_request"},
	} {
		got := w.Post(t, c.path, c.app, c.form)
		if got.Status != http.StatusBadRequest || got.Text("error") != c.code {
			t.Errorf("%s: %d %s, want %s", what, got.Status, got.Body, c.code)
		}
		wordsOnly(t, what, got.Text("error_description"))
		if len(got.Body) > 600 {
			t.Errorf("%s: the answer grows with what was sent, to %d bytes", what, len(got.Body))
		}
	}
}
