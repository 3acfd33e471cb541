package rptest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// Reply is an answer of the issuer.
type Reply struct {
	Status  int
	Header  http.Header
	Body    string
	Members map[string]any // of the JSON object, or nil
}

// Text gives a member of the JSON that is a string, or "".
func (r Reply) Text(member string) string {
	text, _ := r.Members[member].(string)
	return text
}

// Refused wants a refusal of this status and error code, as JSON that nobody stores and with nothing beside it.
func (r Reply) Refused(t testing.TB, status int, code string) {
	t.Helper()
	if r.Status != status || r.Text("error") != code {
		t.Errorf("%d %s, want %d %s", r.Status, r.Body, status, code)
		return
	}
	for member := range r.Members {
		if member != "error" && member != "error_description" && member != "request_id" {
			t.Errorf("a refusal has the member %q", member)
		}
	}
	if got := r.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("a refusal has Cache-Control %q", got)
	}
	if r.Header.Get("Content-Type") != "application/json" {
		t.Errorf("a refusal has Content-Type %q", r.Header.Get("Content-Type"))
	}
}

// Do sends a request and reads the answer. Redirects are not followed.
func (w *World) Do(t testing.TB, req *http.Request) Reply {
	t.Helper()
	resp, err := w.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // nothing was written that closing could lose
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	reply := Reply{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}
	_ = json.Unmarshal(body, &reply.Members) // nil when it is something else: the test looks
	return reply
}

// Request makes a request to the issuer, with header fields in pairs.
func (w *World) Request(t testing.TB, method, path, body string, header ...string) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, w.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	return req
}

// Basic is the Authorization header of client_secret_basic (RFC 6749, 2.3.1: both halves are form-encoded).
func (a App) Basic() string {
	req := http.Request{Header: http.Header{}}
	req.SetBasicAuth(url.QueryEscape(a.ID), url.QueryEscape(a.Secret))
	return req.Header.Get("Authorization")
}

// Post sends a form as an app: by client_secret_basic, or as a public client. Further header fields come in pairs.
func (w *World) Post(t testing.TB, path string, app App, form url.Values, header ...string) Reply {
	t.Helper()
	if app.Secret != "" {
		header = append(header, "Authorization", app.Basic())
	} else if app.ID != "" {
		form = With(form, "client_id", app.ID)
	}
	header = append(header, "Content-Type", "application/x-www-form-urlencoded")
	return w.Do(t, w.Request(t, http.MethodPost, path, form.Encode(), header...))
}

// Get reads a path, with header fields in pairs.
func (w *World) Get(t testing.TB, path string, header ...string) Reply {
	t.Helper()
	return w.Do(t, w.Request(t, http.MethodGet, path, "", header...))
}

// With gives a copy of the form in which these parameters, in pairs, have these values; "" takes one out.
func With(form url.Values, pairs ...string) url.Values {
	changed := url.Values{}
	for name, values := range form {
		changed[name] = values
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		changed.Del(pairs[i])
		if pairs[i+1] != "" {
			changed.Set(pairs[i], pairs[i+1])
		}
	}
	return changed
}

// Form makes a form of pairs.
func Form(pairs ...string) url.Values { return With(nil, pairs...) }
