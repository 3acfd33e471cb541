package plugintest

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// patience bounds every wait of the suite: long enough for a loaded machine,
// never part of what is asserted. A walk may have less of it (the controls
// do, since they wait for what does not come).
const patience = 30 * time.Second

func (w *Walk) patience() time.Duration {
	if w.hurry > 0 {
		return w.hurry
	}
	return patience
}

// Response is what the gateway's client got.
type Response struct {
	Status int
	Header http.Header
	Body   string
}

// client does not follow redirects, and ends what hangs. A connection of its
// own for each request leaves nothing open behind a reloaded gateway.
func (w *Walk) client() *http.Client {
	return &http.Client{
		Timeout:       w.patience(),
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Request builds a request to the gateway; edits change it before it is sent.
func (w *Walk) Request(method, path, reference string, edits ...func(*http.Request)) *http.Request {
	w.T.Helper()
	r, err := http.NewRequest(method, w.Gateway.URL+path, nil)
	if err != nil {
		w.T.Fatal(err)
	}
	if reference != "" {
		r.Header.Set("Authorization", "Bearer "+reference)
	}
	for _, edit := range edits {
		edit(r)
	}
	return r
}

// Do sends r.
func (w *Walk) Do(r *http.Request) Response {
	w.T.Helper()
	response, err := w.send(r)
	if err != nil {
		w.T.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	return response
}

func (w *Walk) send(r *http.Request) (Response, error) {
	answer, err := w.client().Do(r)
	if err != nil {
		return Response{}, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return Response{Status: answer.StatusCode, Header: answer.Header, Body: string(body)}, err
}

// Get sends a GET with reference as its bearer token ("": none).
func (w *Walk) Get(path, reference string, edits ...func(*http.Request)) Response {
	w.T.Helper()
	return w.Do(w.Request(http.MethodGet, path, reference, edits...))
}

// Raw sends a request whose target and headers Go's client would mend.
func (w *Walk) Raw(method, target string, headers ...string) Response {
	w.T.Helper()
	address := strings.TrimPrefix(w.Gateway.URL, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		w.T.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(w.patience()))
	lines := append([]string{method + " " + target + " HTTP/1.1", "Host: " + address, "Connection: close"}, headers...)
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		w.T.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		w.T.Fatalf("%s %s: %v", method, target, err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		w.T.Fatalf("%s %s: %v", method, target, err)
	}
	return Response{Status: answer.StatusCode, Header: answer.Header, Body: string(body)}
}

// Passed checks that r came from the upstream and returns what that received.
func (w *Walk) Passed(r Response) Received {
	w.T.Helper()
	if r.Status != http.StatusOK {
		w.T.Fatalf("refused: %d %s; want it passed", r.Status, r.Body)
	}
	last, ok := w.Upstream.Last()
	if !ok {
		w.T.Fatal("answered 200 without asking the upstream")
	}
	return last
}

// Refused checks that r is the gateway's own refusal in the form of the wire:
// the status, a JSON body with error and error_description, and no-store. An
// empty code accepts any.
func (w *Walk) Refused(r Response, status int, code string) {
	w.T.Helper()
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if r.Status != status {
		w.T.Fatalf("answered %d %s; want %d %s", r.Status, r.Body, status, code)
	}
	if err := json.Unmarshal([]byte(r.Body), &body); err != nil {
		w.T.Fatalf("the body of a %d is %q; want JSON", status, r.Body)
	}
	if code != "" && body.Error != code {
		w.T.Errorf("error is %q; want %q", body.Error, code)
	}
	if body.Error == "" || body.Description == "" {
		w.T.Errorf("the body is %s; want error and error_description", r.Body)
	}
	if media := r.Header.Get("Content-Type"); !strings.HasPrefix(media, "application/json") {
		w.T.Errorf("Content-Type is %q; want application/json", media)
	}
	if cache := r.Header.Get("Cache-Control"); cache != "no-store" {
		w.T.Errorf("Cache-Control is %q; want no-store", cache)
	}
	challenge := r.Header.Get("WWW-Authenticate")
	if (status == http.StatusUnauthorized || status == http.StatusForbidden) != strings.HasPrefix(challenge, "Bearer") {
		w.T.Errorf("a %d carries the challenge %q", status, challenge)
	}
}

// Challenged checks that r's challenge carries each of params.
func (w *Walk) Challenged(r Response, params ...string) {
	w.T.Helper()
	challenge := r.Header.Get("WWW-Authenticate")
	for _, param := range params {
		if !strings.Contains(challenge, param) {
			w.T.Errorf("the challenge is %q; want %s in it", challenge, param)
		}
	}
}

// NothingPassed checks that no request has reached the upstream.
func (w *Walk) NothingPassed() {
	w.T.Helper()
	if last, ok := w.Upstream.Last(); ok {
		w.T.Errorf("%s %s reached the upstream", last.Method, last.Path)
	}
}

// eventually repeats try until it is true, and fails when it stays false.
func (w *Walk) eventually(what string, try func() bool) {
	w.T.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(w.patience()); time.Now().Before(deadline); <-tick.C {
		if try() {
			return
		}
	}
	w.T.Fatalf("never happened: %s", what)
}
