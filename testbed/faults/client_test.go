package faults

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/testbed/browser"
	"github.com/phantomgate/phantomgate/testbed/loopback"
)

// client speaks to one issuer as every kind of client there is.
type client struct {
	http          *http.Client
	issuer, admin string
}

func (i *issuer) client() *client {
	return &client{
		http:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: 30 * time.Second},
		issuer: "http://" + i.addr, admin: "http://" + i.admin,
	}
}

// tokens is the part of a token answer that the tests look at.
type tokens struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
}

// refusal is an answer that is not 200.
type refusal struct {
	status     int
	retryAfter string
	body       string
}

func (r *refusal) Error() string { return fmt.Sprintf("status %d: %s", r.status, r.body) }

// post sends a form. Its error is a *refusal when the issuer answered something else than 200, and another one when it did
// not answer in full: then nobody knows what was done.
func (c *client) post(address, id string, form url.Values, answer any) error {
	if id == "mobile" {
		form.Set("client_id", id)
	}
	req, err := http.NewRequest(http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if id != "mobile" {
		req.SetBasicAuth(id, id+"-demo-secret")
	}
	return c.do(req, answer)
}

func (c *client) do(req *http.Request, answer any) error {
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was read to its end
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return &refusal{resp.StatusCode, resp.Header.Get("Retry-After"), string(body)}
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(body, answer)
}

// issue gets an access token by client credentials.
func (c *client) issue(id, scope string) (string, error) {
	var answer tokens
	err := c.post(c.issuer+"/oauth/token", id, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}, &answer)
	return answer.Access, err
}

// refresh redeems mobile's refresh reference.
func (c *client) refresh(reference string) (tokens, error) {
	var answer tokens
	err := c.post(c.issuer+"/oauth/token", "mobile", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {reference}}, &answer)
	return answer, err
}

// revoke is RFC 7009.
func (c *client) revoke(id, reference string) error {
	return c.post(c.issuer+"/oauth/revoke", id, url.Values{"token": {reference}}, nil)
}

// operate revokes as an operator does.
func (c *client) operate(operator, body string) error {
	return c.ask(operator, http.MethodPost, "/admin/v1/revocations", body)
}

// ask sends a request to the admin API.
func (c *client) ask(operator, method, path, body string) error {
	req, err := http.NewRequest(method, c.admin+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+operator)
	return c.do(req, nil)
}

func (c *client) active(reference string) (bool, error) {
	var answer struct {
		Active bool `json:"active"`
	}
	err := c.post(c.issuer+"/oauth/introspect", "gateway", url.Values{"token": {reference}}, &answer)
	return answer.Active, err
}

// logIn takes alice through mobile's login.
func (c *client) logIn(t *testing.T) tokens {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	b, err := browser.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	app := loopback.Client{Issuer: c.issuer, ID: "mobile", Scopes: []string{"offline_access", "eventcatalog.read"}, HTTP: c.http}
	token, err := app.Login(ctx, func(address string) error {
		_, err := b.LogIn(ctx, address, "alice", "alice-demo")
		return err
	})
	if err != nil {
		t.Fatalf("logging in: %v", err)
	}
	return tokens{Access: token.AccessToken, Refresh: token.RefreshToken}
}
