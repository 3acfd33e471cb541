package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"sync"

	"golang.org/x/oauth2"

	"github.com/phantomgate/phantomgate/testbed/browser"
	"github.com/phantomgate/phantomgate/testbed/freeaddress"
)

//go:embed issuer.yaml
var issuerFile []byte

// The secrets of issuer.yaml, which everybody may know.
const (
	gatewaySecret = "gateway-demo-secret"
	batchSecret   = "batch-demo-secret"
	alicePassword = "alice-demo"
)

// issuer is the real one, with an empty database.
type issuer struct {
	*process
	addr string
	dir  string
}

func (l *lab) startIssuer(ctx context.Context) (*issuer, error) {
	free, err := freeaddress.Find(2)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(l.data, "issuer-")
	if err != nil {
		return nil, err
	}
	config := l.path("issuer.yaml")
	if err := os.WriteFile(config, issuerFile, 0o600); err != nil {
		return nil, err
	}
	env := []string{"ISSUER_ADDR=" + free[0], "ADMIN_ADDR=" + free[1], "DATA_DIR=" + dir}
	p, err := l.start(ctx, "authserver", env, "run", "--config", config)
	if err != nil {
		return nil, err
	}
	return &issuer{p, free[0], dir}, nil
}

// logins is how many people log in side by side.
const logins = 8

// references logs alice in, in several browsers, and lets each get token after token by single sign-on, until there are n.
// So every token has a grant of its own and a session behind it.
func (i *issuer) references(ctx context.Context, n int) ([]string, error) {
	back, end, err := callback()
	if err != nil {
		return nil, err
	}
	defer end()
	app := &oauth2.Config{
		ClientID: "mobile", RedirectURL: back, Scopes: []string{"eventcatalog.read", "shoppingbasket.read"},
		Endpoint: oauth2.Endpoint{
			AuthURL: "http://" + i.addr + "/oauth/authorize", TokenURL: "http://" + i.addr + "/oauth/token", AuthStyle: oauth2.AuthStyleInParams,
		},
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 2 * logins}
	defer transport.CloseIdleConnections()
	references := make([]string, n)
	errs := make([]error, logins)
	var running sync.WaitGroup
	for w := range logins {
		running.Go(func() {
			person, err := browser.New(transport)
			for r := w; r < n && err == nil; r += logins {
				references[r], err = logIn(ctx, app, person, transport)
			}
			errs[w] = err
		})
	}
	running.Wait()
	return references, errors.Join(errs...)
}

// logIn gets one token; only the first time is alice asked for her password.
func logIn(ctx context.Context, app *oauth2.Config, person *browser.Browser, transport http.RoundTripper) (string, error) {
	verifier := oauth2.GenerateVerifier()
	page, err := person.LogIn(ctx, app.AuthCodeURL("state", oauth2.S256ChallengeOption(verifier)), "alice", alicePassword)
	if err != nil {
		return "", err
	}
	code := page.URL.Query().Get("code")
	if code == "" {
		return "", fmt.Errorf("the login ended without a code: %s", page.URL.Query().Get("error"))
	}
	ctx = context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: transport})
	token, err := app.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		return "", err
	}
	return token.AccessToken, nil
}

// callback is where the browser is sent back to; it answers nothing. end ends it.
func callback() (address string, end func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })}
	go func() { _ = server.Serve(listener) }() // ends with Close
	return "http://" + listener.Addr().String() + "/callback", func() { _ = server.Close() }, nil
}

// introspection is what a gateway asks about a reference.
func (i *issuer) introspection(reference string) []byte {
	form := url.Values{"audience": {"eventcatalog"}, "scope": {"eventcatalog.read"}, "token": {reference}}
	return post(i.addr, "/oauth/introspect", basic("gateway", gatewaySecret)+"Accept: application/jwt\r\n", form.Encode())
}

func basic(id, secret string) string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(id, secret)
	return "Authorization: " + r.Header.Get("Authorization") + "\r\n"
}
