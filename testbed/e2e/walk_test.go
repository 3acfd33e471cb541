// Package e2e walks through the running demo over real HTTP, as the people and programs that use it do.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/browser"
	"github.com/phantomgate/phantomgate/testbed/demo"
	"github.com/phantomgate/phantomgate/testbed/loopback"
	"golang.org/x/oauth2"
)

// beTheDemo in the environment makes the test binary the demo itself, so that a test can start, watch and interrupt it as
// a process without building it a second time.
const beTheDemo = "PHANTOMGATE_E2E_BE_THE_DEMO"

func TestMain(m *testing.M) {
	if os.Getenv(beTheDemo) != "" {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		status := demo.Main(ctx, os.Getenv, os.Stdout, os.Stderr)
		stop()
		os.Exit(status)
	}
	status := m.Run()
	if running != nil {
		if err := running.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: the demo did not end cleanly:", err)
			status = 1
		}
	}
	os.Exit(status)
}

// walk is a running demo and what one does with it.
type walk struct {
	demo *demo.Demo
	http *http.Client
}

var (
	running     *demo.Demo
	startOnce   sync.Once
	errStarting error
)

// inProcess gives the one demo of this test process, started when the first test needs it. TestMain ends it.
func inProcess(t *testing.T) *walk {
	t.Helper()
	startOnce.Do(func() {
		running, errStarting = demo.Start(context.Background(), demo.Options{
			GatewayAddr: "localhost:0", IssuerAddr: "localhost:0", AdminAddr: "localhost:0", DiscountAddr: "localhost:0", LogLevel: slog.LevelError,
		})
	})
	if errStarting != nil {
		t.Fatal(errStarting)
	}
	return &walk{running, http.DefaultClient}
}

// logIn takes a user through the issuer's pages in a fresh browser, for a client with these scopes.
func (w *walk) logIn(t *testing.T, client, user string, scopes ...string) *oauth2.Token {
	t.Helper()
	person, err := browser.New(w.http.Transport)
	if err != nil {
		t.Fatal(err)
	}
	app := loopback.Client{Issuer: w.demo.IssuerURL, ID: client, Secret: secretOf(client), Scopes: scopes, HTTP: w.http}
	token, err := app.Login(t.Context(), func(address string) error {
		page, err := person.LogIn(t.Context(), address, user, user+"-demo")
		if err == nil && !strings.HasPrefix(page.Body, "Done.") {
			t.Fatalf("the login ended on %s with status %d:\n%s", page.URL.Path, page.Status, page.Body)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func secretOf(client string) string {
	if client == "mobile" {
		return ""
	}
	return client + "-demo-secret"
}

// answer is a response, read.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (w *walk) do(t *testing.T, req *http.Request) answer {
	t.Helper()
	resp, err := w.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, body}
}

// api calls an API through the gateway with a bearer token; a body makes it a POST of JSON.
func (w *walk) api(t *testing.T, path, token, body string, headers ...string) answer {
	t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, w.demo.GatewayURL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header[headers[i]] = append(req.Header[headers[i]], headers[i+1])
	}
	return w.do(t, req)
}

// form posts to the issuer as a client.
func (w *walk) form(t *testing.T, path, client string, values url.Values) answer {
	t.Helper()
	if client == "mobile" {
		values.Set("client_id", client)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.demo.IssuerURL+path, strings.NewReader(values.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client != "mobile" {
		req.SetBasicAuth(client, secretOf(client))
	}
	return w.do(t, req)
}

// machine gets a token by client credentials.
func (w *walk) machine(t *testing.T, client, scope string) string {
	t.Helper()
	got := w.form(t, "/oauth/token", client, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}})
	var token struct {
		AccessToken string `json:"access_token"`
	}
	got.read(t, http.StatusOK, &token)
	return token.AccessToken
}

// operate calls the admin API with the operator's token; a body makes it a POST.
func (w *walk) operate(t *testing.T, operator, path, body string) answer {
	t.Helper()
	method := http.MethodGet
	if body != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, w.demo.AdminURL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+operator)
	req.Header.Set("Content-Type", "application/json")
	return w.do(t, req)
}

// read wants a status and unpacks the JSON body.
func (a answer) read(t *testing.T, status int, into any) {
	t.Helper()
	if a.status != status {
		t.Fatalf("status %d, want %d: %s", a.status, status, a.body)
	}
	dec := json.NewDecoder(bytes.NewReader(a.body))
	dec.UseNumber()
	if err := dec.Decode(into); err != nil {
		t.Fatalf("%s is not the JSON expected: %v", a.body, err)
	}
}

// refused wants a refusal of the gateway with this status and code.
func (a answer) refused(t *testing.T, status int, code string) {
	t.Helper()
	var body struct {
		Error string `json:"error"`
	}
	a.read(t, status, &body)
	if body.Error != code {
		t.Errorf("error %q, want %q", body.Error, code)
	}
}
