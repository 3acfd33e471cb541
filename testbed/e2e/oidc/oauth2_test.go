package oidc

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// oauth2Config is what an app that uses golang.org/x/oauth2 writes down. The style is how it sends its secret; zero lets
// the library find out by trying.
func oauth2Config(w *rptest.World, app rptest.App, style oauth2.AuthStyle, scopes ...string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: app.ID, ClientSecret: app.Secret, RedirectURL: app.RedirectURI, Scopes: scopes,
		Endpoint: oauth2.Endpoint{AuthURL: w.URL + "/oauth/authorize", TokenURL: w.URL + "/oauth/token", AuthStyle: style},
	}
}

// asksAs sends a person to the address that a library has made, and gives the code.
func asksAs(t *testing.T, w *rptest.World, login, address string, app rptest.App, state string) string {
	t.Helper()
	page, err := w.Browser(t).LogIn(t.Context(), address, login, rptest.Password(login))
	if err != nil {
		t.Fatal(err)
	}
	answer := w.Answer(t, page, app.Ask("", "state", state))
	if answer.Get("code") == "" {
		t.Fatalf("no code: %v", answer)
	}
	return answer.Get("code")
}

func TestOAuth2LogsInAndRefreshes(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	for name, c := range map[string]struct {
		app   rptest.App
		style oauth2.AuthStyle
	}{
		"secret in the header": {rptest.Web(), oauth2.AuthStyleInHeader},
		"secret in the form":   {rptest.Web(), oauth2.AuthStyleInParams},
		"finds out by trying":  {rptest.Web(), oauth2.AuthStyleAutoDetect},
		"public":               {rptest.Native(), oauth2.AuthStyleInParams},
		"public, by trying":    {rptest.Native(), oauth2.AuthStyleAutoDetect},
	} {
		t.Run(name, func(t *testing.T) {
			config := oauth2Config(w, c.app, c.style, "openid", "offline_access", "catalogue.read")
			verifier := oauth2.GenerateVerifier()
			code := asksAs(t, w, "alice", config.AuthCodeURL("s1", oauth2.S256ChallengeOption(verifier)), c.app, "s1")
			ctx := context.WithValue(t.Context(), oauth2.HTTPClient, w.HTTP)
			token, err := config.Exchange(ctx, code, oauth2.VerifierOption(verifier))
			if err != nil {
				t.Fatal(err)
			}
			if !token.Valid() || token.Type() != "Bearer" || token.RefreshToken == "" || !w.Active(t, token.AccessToken) {
				t.Fatal("the token is not one that can be used")
			}

			// The library's own source refreshes what it thinks has expired, and takes the successor over.
			stale := *token
			stale.Expiry = stale.Expiry.Add(-24 * time.Hour)
			source := config.TokenSource(ctx, &stale)
			fresh, err := source.Token()
			if err != nil {
				t.Fatal(err)
			}
			if fresh.AccessToken == token.AccessToken || fresh.RefreshToken == token.RefreshToken || fresh.RefreshToken == "" {
				t.Error("a refresh gave no new references")
			}
			if !w.Active(t, fresh.AccessToken) {
				t.Error("the refreshed token is not active")
			}
			resp, err := oauth2.NewClient(ctx, source).Get(w.URL + "/oauth/userinfo")
			if err != nil {
				t.Fatal(err)
			}
			if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("userinfo by the library's client: %d, %v", resp.StatusCode, err)
			}
		})
	}
}

func TestOAuth2ReadsARefusal(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	config := oauth2Config(w, rptest.Web(), oauth2.AuthStyleInHeader, "catalogue.read")
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, w.HTTP)
	_, err := config.Exchange(ctx, "nonsense", oauth2.VerifierOption(oauth2.GenerateVerifier()))
	var refusal *oauth2.RetrieveError
	if !errors.As(err, &refusal) || refusal.ErrorCode != "invalid_grant" || refusal.ErrorDescription == "" {
		t.Errorf("the library reads the refusal as %v", err)
	}
}

func TestOAuth2ClientCredentials(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	for name, style := range map[string]oauth2.AuthStyle{
		"header": oauth2.AuthStyleInHeader, "form": oauth2.AuthStyleInParams, "by trying": oauth2.AuthStyleAutoDetect,
	} {
		t.Run(name, func(t *testing.T) {
			job := rptest.Job()
			config := clientcredentials.Config{ClientID: job.ID, ClientSecret: job.Secret, TokenURL: w.URL + "/oauth/token",
				Scopes: []string{"catalogue.read"}, AuthStyle: style}
			token, err := config.Token(context.WithValue(t.Context(), oauth2.HTTPClient, w.HTTP))
			if err != nil {
				t.Fatal(err)
			}
			if !w.Active(t, token.AccessToken) || token.RefreshToken != "" || token.Extra("scope") != "catalogue.read" {
				t.Errorf("scope %v, or the token is inactive, or has a refresh token", token.Extra("scope"))
			}
		})
	}
}
