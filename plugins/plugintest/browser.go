package plugintest

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// The app that the suite's token handler is for.
const (
	appOrigin     = "https://www.shop.example"
	appPage       = appOrigin + "/app"
	foreignOrigin = "https://evil.example"
	agentPath     = "/oauth-agent"
	csrfHeader    = "x-shop-csrf"
)

// withTokenHandler lets the app in, and bearer tokens beside it.
func withTokenHandler(c *Config) {
	c.TokenHandler = map[string]any{
		"cookiePrefix": "shop",
		"cookieKeys": []map[string]any{
			{"id": "2026-11", "key": base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))},
		},
		"origins": []string{appOrigin}, "allowBearer": true,
		"clientId": "spa", "clientSecret": agentSecret,
		"redirectUri": appPage, "postLogoutRedirectUris": []string{appPage},
		"scopes": []string{"openid", "eventcatalog.read", "eventcatalog.write"},
	}
	c.Routes[0]["cookies"] = []string{"theme"}
}

// browser is a browser with the app open: it keeps cookies as browsers do,
// and sends what they send.
type browser struct {
	*Walk
	cookies map[string]string
	csrf    string
}

func (w *Walk) browser() *browser { return &browser{Walk: w, cookies: map[string]string{}} }

// loggedIn returns a browser in which alice is logged in.
func (w *Walk) loggedIn() *browser {
	w.T.Helper()
	b := w.browser()
	page, _ := json.Marshal(w.Issuer.Authorize(w, b.start()))
	var answer struct {
		Handled, IsLoggedIn bool
		CSRF                string
	}
	b.ok(b.agent("POST", "/login/end", `{"pageUrl":`+string(page)+`}`), &answer)
	if b.csrf = answer.CSRF; !answer.Handled || !answer.IsLoggedIn || b.csrf == "" {
		w.T.Fatalf("login/end answered %+v", answer)
	}
	return b
}

// start starts a login and returns the authorization request.
func (b *browser) start() string {
	b.T.Helper()
	var answer struct{ AuthorizationRequestURL string }
	b.ok(b.agent("POST", "/login/start", ""), &answer)
	return answer.AuthorizationRequestURL
}

// ok checks for a 200 and decodes its JSON.
func (b *browser) ok(r Response, into any) {
	b.T.Helper()
	if r.Status != http.StatusOK {
		b.T.Fatalf("answered %d %s; want 200", r.Status, r.Body)
	}
	if err := json.Unmarshal([]byte(r.Body), into); err != nil {
		b.T.Fatalf("the body is %q; want JSON", r.Body)
	}
}

// request builds a request as the app's page sends it.
func (b *browser) request(method, path, body string, edits ...func(*http.Request)) *http.Request {
	b.T.Helper()
	return b.Request(method, path, "", append([]func(*http.Request){func(r *http.Request) {
		r.Header.Set("Origin", appOrigin)
		r.Header.Set("Sec-Fetch-Site", "same-site")
		if b.csrf != "" {
			r.Header.Set(csrfHeader, b.csrf)
		}
		for _, name := range slices.Sorted(maps.Keys(b.cookies)) {
			r.AddCookie(&http.Cookie{Name: name, Value: b.cookies[name]})
		}
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
		}
	}}, edits...)...)
}

// do sends r and keeps the cookies of the answer.
func (b *browser) do(r *http.Request) Response {
	b.T.Helper()
	answer := b.Do(r)
	for _, line := range answer.Header["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		if err != nil || !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.Path != "/" || c.Domain != "" ||
			c.SameSite != http.SameSiteStrictMode || len(line) > 4096 {
			b.T.Fatalf("not a cookie of ours: %.60s…", line)
		}
		if b.cookies[c.Name] = c.Value; c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		}
	}
	return answer
}

func (b *browser) agent(method, endpoint, body string, edits ...func(*http.Request)) Response {
	b.T.Helper()
	return b.do(b.request(method, agentPath+endpoint, body, edits...))
}

func (b *browser) api(method string, edits ...func(*http.Request)) Response {
	b.T.Helper()
	return b.do(b.request(method, Events, "", edits...))
}

// agentFails checks for an error in the agent's form, which the app may read.
func (b *browser) agentFails(r Response, status int, code string) {
	b.T.Helper()
	var body struct{ Code, Message string }
	if json.Unmarshal([]byte(r.Body), &body) != nil || r.Status != status || body.Code != code || body.Message == "" {
		b.T.Errorf("answered %d %s; want %d %s", r.Status, r.Body, status, code)
	}
	b.readable(r)
}

// readable checks that the app's page, and no other, may read r.
func (b *browser) readable(r Response) {
	b.T.Helper()
	if got := r.Header["Access-Control-Allow-Origin"]; len(got) != 1 || got[0] != appOrigin ||
		r.Header.Get("Access-Control-Allow-Credentials") != "true" {
		b.T.Errorf("a %d cannot be read by the app: Access-Control-Allow-Origin is %q", r.Status, got)
	}
	if !strings.Contains(strings.Join(r.Header["Vary"], ","), "Origin") {
		b.T.Errorf("a %d varies by %q; want Origin among them", r.Status, r.Header["Vary"])
	}
}

// changed changes the answer in a page's address.
func changed(page string, change func(url.Values)) string {
	address, q, _ := strings.Cut(page, "?")
	values, _ := url.ParseQuery(q)
	change(values)
	return address + "?" + values.Encode()
}

// header sets a header, or takes it away.
func header(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		if r.Header.Del(name); value != "" {
			r.Header.Set(name, value)
		}
	}
}
