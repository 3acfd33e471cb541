package attack

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

const formType = "application/x-www-form-urlencoded"

// posted sends a body as it stands.
func posted(t *testing.T, w *rptest.World, path, body string, header ...string) rptest.Reply {
	t.Helper()
	return w.Do(t, w.Request(t, http.MethodPost, path, body, header...))
}

// TestFormsSayOneThing sends forms that two readers could read differently (RFC 6749, 3.2), to every endpoint that takes
// one. Where a body is right, it would be answered.
func TestFormsSayOneThing(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	job, gateway := rptest.Job(), rptest.Gateway()
	for path, c := range map[string]struct {
		app  rptest.App
		form url.Values
	}{
		"/oauth/token":      {job, rptest.Form("grant_type", "client_credentials", "scope", "catalogue.read")},
		"/oauth/introspect": {gateway, rptest.Form("token", "x", "scope", "catalogue.read")},
		"/oauth/revoke":     {job, rptest.Form("token", "x", "scope", "unknown")},
	} {
		good := c.form.Encode()
		basic := []string{"Authorization", c.app.Basic()}
		ok := func(name string, reply rptest.Reply) {
			if reply.Status != http.StatusOK {
				t.Errorf("%s, %s: %d %s", path, name, reply.Status, reply.Body)
			}
		}
		ok("the control", posted(t, w, path, good, append(basic, "Content-Type", formType)...))
		ok("a charset", posted(t, w, path, good, append(basic, "Content-Type", formType+"; charset=UTF-8")...))
		ok("capitals", posted(t, w, path, good, append(basic, "Content-Type", "Application/X-WWW-Form-URLencoded")...))
		ok("a method in disguise", posted(t, w, path, good+"&_method=DELETE", append(basic, "Content-Type", formType, "X-HTTP-Method-Override", "DELETE", "X-Method-Override", "PUT")...))
		ok("what the query says counts for nothing", posted(t, w, path+"?scope=admin&token=y&grant_type=password", good, append(basic, "Content-Type", formType)...))

		for name, body := range map[string]string{
			"a parameter twice":          good + "&scope=catalogue.write",
			"the same twice":             good + "&scope=" + url.QueryEscape(c.form.Get("scope")),
			"twice, once empty":          good + "&scope=",
			"twice, differently encoded": good + "&sc%6fpe=admin",
			"an unknown one twice":       good + "&x=1&x=2",
			"a semicolon":                good + ";scope=admin",
			"broken encoding":            good + "&x=%zz",
			"half an encoding":           good + "&x=%",
			"more than 64 KiB":           good + "&x=" + strings.Repeat("x", 64<<10),
			"very many parameters":       good + strings.Repeat("&a", 20_000),
		} {
			if got := posted(t, w, path, body, append(basic, "Content-Type", formType)...); got.Status != http.StatusBadRequest || got.Text("error") != "invalid_request" {
				t.Errorf("%s, %s: %d %s", path, name, got.Status, got.Body)
			}
		}
		var packed bytes.Buffer
		zip := gzip.NewWriter(&packed)
		if _, err := io.WriteString(zip, good); err != nil || zip.Close() != nil {
			t.Fatal(err)
		}
		for name, header := range map[string][]string{
			"no media type":  {},
			"text":           {"Content-Type", "text/plain"},
			"JSON":           {"Content-Type", "application/json"},
			"multipart":      {"Content-Type", "multipart/form-data; boundary=x"},
			"two types":      {"Content-Type", formType + ", text/plain"},
			"a broken type":  {"Content-Type", formType + "; charset"},
			"a longer type":  {"Content-Type", formType + "x"},
			"type parameter": {"Content-Type", formType + "; charset=a; charset=b"},
		} {
			if got := posted(t, w, path, good, append(header, basic...)...); got.Status != http.StatusBadRequest || got.Text("error") != "invalid_request" {
				t.Errorf("%s, %s: %d %s", path, name, got.Status, got.Body)
			}
		}
		posted(t, w, path, packed.String(), append(basic, "Content-Type", formType, "Content-Encoding", "gzip")...).Refused(t, http.StatusBadRequest, "invalid_request")
		posted(t, w, path, "{}", append(basic, "Content-Type", formType)...).Refused(t, http.StatusBadRequest, "invalid_request")
	}
}

// TestMethods wants other methods than those of the standards refused, by 405 and with Allow.
func TestMethods(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	good := rptest.With(rptest.Form("grant_type", "client_credentials"), "client_id", "job", "client_secret", "job-secret").Encode()
	for path, methods := range map[string][]string{
		"/oauth/token?" + good: {"GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "post"},
		"/oauth/introspect":    {"GET", "PUT", "OPTIONS"}, "/oauth/revoke": {"GET", "DELETE", "OPTIONS"}, "/oauth/login": {"GET"}, "/oauth/consent": {"GET"},
		"/oauth/logout/confirm": {"GET"}, "/oauth/jwks": {"POST"}, "/oauth/authorize": {"PUT"}, "/oauth/userinfo": {"DELETE"},
	} {
		for _, method := range methods {
			reply := w.Do(t, w.Request(t, method, path, good, "Content-Type", formType))
			if reply.Status != http.StatusMethodNotAllowed || reply.Header.Get("Allow") == "" || strings.Contains(reply.Body, "pgat_") {
				t.Errorf("%s %s: %d %s", method, path, reply.Status, reply.Body)
			}
		}
	}
}

// raw sends bytes to the issuer and gives the status line of each answer, until the issuer closes the connection.
func raw(t *testing.T, w *rptest.World, request string) []string {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	var statuses []string
	for reader := bufio.NewReader(conn); ; {
		resp, err := http.ReadResponse(reader, nil)
		if err != nil {
			return statuses
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			return statuses
		}
		statuses = append(statuses, resp.Status[:3])
	}
}

// TestRequestsOnTheWire sends what no library would: two lengths, a length and chunks, hidden chunks, other hosts.
func TestRequestsOnTheWire(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	host := strings.TrimPrefix(w.URL, "http://")
	body := "grant_type=client_credentials&client_id=job&client_secret=job-secret"
	head := "POST /oauth/token HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\nContent-Type: " + formType + "\r\n"
	chunked := fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	for name, c := range map[string]struct {
		request string
		status  string
	}{
		"the control":             {head + length + "\r\n" + body, "200"},
		"chunks":                  {head + "Transfer-Encoding: chunked\r\n\r\n" + chunked, "200"},
		"two lengths":             {head + length + "Content-Length: 3\r\n\r\n" + body, "400"},
		"a signed length":         {head + "Content-Length: +68\r\n\r\n" + body, "400"},
		"chunks of another name":  {head + "Transfer-Encoding: xchunked\r\n\r\n" + chunked, "501"},
		"chunks twice":            {head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked, "501"},
		"a folded header":         {head + "X: a\r\n b\r\nTransfer-Encoding : chunked\r\n\r\n" + chunked, "400"},
		"no host":                 {strings.Replace(head, "Host: "+host+"\r\n", "", 1) + length + "\r\n" + body, "400"},
		"two hosts":               {strings.Replace(head, "Host: "+host, "Host: "+host+"\r\nHost: evil.example", 1) + length + "\r\n" + body, "400"},
		"another host":            {strings.Replace(head, host, "evil.example", 1) + length + "\r\n" + body, "421"},
		"our host, another port":  {strings.Replace(head, host, "127.0.0.1:1", 1) + length + "\r\n" + body, "421"},
		"our host and a dot":      {strings.Replace(head, host, "127.0.0.1.:"+strings.Split(host, ":")[1], 1) + length + "\r\n" + body, "421"},
		"a user before the host":  {strings.Replace(head, "Host: "+host, "Host: evil@"+host, 1) + length + "\r\n" + body, "400"},
		"the address names it":    {strings.Replace(head, "/oauth/token", "http://evil.example/oauth/token", 1) + length + "\r\n" + body, "421"},
		"a header of 40 KiB":      {head + "X: " + strings.Repeat("x", 40<<10) + "\r\n" + length + "\r\n" + body, "431"},
		"a line end in the path":  {"GET /oauth/jwks\rX HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n", "400"},
		"the operators' API here": {"GET /admin/v1/tokens HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n", "404"},
	} {
		if got := raw(t, w, c.request); len(got) != 1 || got[0] != c.status {
			t.Errorf("%s: %v, want %s", name, got, c.status)
		}
	}
	if got := raw(t, w, head+length+"Transfer-Encoding: chunked\r\n\r\n"+chunked); len(got) != 1 { // one reading, whichever
		t.Errorf("a length and chunks: %v", got)
	}
}

// TestForwardedHeadersAreNotBelieved sends what a proxy would, from outside.
func TestForwardedHeadersAreNotBelieved(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	lies := []string{"X-Forwarded-Host", "evil.example", "X-Forwarded-Proto", "https", "Forwarded", "host=evil.example", "X-Original-URL", "/admin/v1/tokens",
		"X-Rewrite-URL", "/admin/v1/tokens", "X-Host", "evil.example", "X-Forwarded-For", "127.0.0.1", "X-Real-IP", "127.0.0.1"}
	for _, path := range []string{"/.well-known/openid-configuration", "/oauth/authorize?" + rptest.Web().Ask("openid").Params.Encode(), "/oauth/logout", "/oauth/userinfo"} {
		reply := w.Get(t, path, lies...)
		if strings.Contains(reply.Body+fmt.Sprint(reply.Header), "evil.example") || strings.Contains(reply.Body, "tokens\":") {
			t.Errorf("%s believes them: %s", path, reply.Body)
		}
	}
}

// TestPathsAreNotOneAnother sends doubled slashes and dots: no such spelling reaches a handler, and none leads elsewhere.
func TestPathsAreNotOneAnother(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	form := rptest.Form("grant_type", "client_credentials", "client_id", "job", "client_secret", "job-secret").Encode()
	for _, path := range []string{"//oauth/token", "/oauth//token", "/oauth/./token", "/oauth/x/../token", "/oauth/%2e%2e/oauth/token", "/oauth%2ftoken", "/oauth/token/",
		"/OAUTH/TOKEN", "/oauth/token%00", "/oauth/token;x", "/oauth/token%20", "//evil.example/oauth/token", "/\\evil.example/oauth/token", "/oauth/token.json"} {
		req := w.Request(t, http.MethodPost, "/", form, "Content-Type", formType)
		req.URL.Opaque = path // as it stands
		reply := w.Do(t, req)
		if strings.Contains(reply.Body, "pgat_") {
			t.Errorf("%s: gives a token", path)
		}
		if to := reply.Header.Get("Location"); strings.HasPrefix(to, "//") || strings.Contains(to, "://") || strings.HasPrefix(to, "/\\") {
			t.Errorf("%s: leads to %q", path, to)
		}
		if to := reply.Header.Get("Location"); to != "" && to != "/oauth/token" && to != "/evil.example/oauth/token" { // its one spelling, at the same host
			t.Errorf("%s: leads to %q", path, to)
		}
	}
}
