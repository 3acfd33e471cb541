package oidc

import (
	"context"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/phantomgate/phantomgate/testbed/e2e/rptest"
)

// TestGoOIDCLogsIn is the example of coreos/go-oidc's documentation, with nonce and PKCE.
func TestGoOIDCLogsIn(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	ctx := oidc.ClientContext(t.Context(), w.HTTP)
	provider, err := oidc.NewProvider(ctx, w.URL) // refuses a document of another issuer
	if err != nil {
		t.Fatal(err)
	}
	app := rptest.Web()
	config := oauth2.Config{ClientID: app.ID, ClientSecret: app.Secret, RedirectURL: app.RedirectURI, Endpoint: provider.Endpoint(),
		Scopes: []string{oidc.ScopeOpenID, "profile", "email", oidc.ScopeOfflineAccess}}
	verifier := oauth2.GenerateVerifier()
	code := asksAs(t, w, "alice", config.AuthCodeURL("s2", oidc.Nonce("n-1"), oauth2.S256ChallengeOption(verifier)), app, "s2")
	token, err := config.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	verify := provider.VerifierContext(ctx, &oidc.Config{ClientID: app.ID})
	first := verified(t, ctx, verify, token)
	if first.Nonce != "n-1" {
		t.Errorf("nonce %q", first.Nonce)
	}

	info, err := provider.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		t.Fatal(err)
	}
	var profile struct {
		Name   string `json:"name"`
		Region string `json:"region"`
	}
	if err := info.Claims(&profile); err != nil {
		t.Fatal(err)
	}
	if info.Subject != first.Subject || info.Email != "alice@example.com" || !info.EmailVerified || profile.Name != "Alice Arendt" {
		t.Errorf("userinfo: %+v %+v", info, profile)
	}
	if profile.Region != "" {
		t.Error("userinfo tells a claim that only an audience may see")
	}

	stale := *token
	stale.Expiry = stale.Expiry.Add(-24 * time.Hour)
	fresh, err := config.TokenSource(ctx, &stale).Token()
	if err != nil {
		t.Fatal(err)
	}
	second := verified(t, ctx, verify, fresh)
	if second.Subject != first.Subject || second.Nonce != "" {
		t.Errorf("the refreshed ID token: sub %q, nonce %q", second.Subject, second.Nonce)
	}

	// What the library is there to refuse, it refuses of ours too.
	raw, _ := token.Extra("id_token").(string)
	if _, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: "other"}).Verify(ctx, raw); err == nil {
		t.Error("an ID token for web was taken by another client")
	}
	if _, err := verify.Verify(ctx, raw[:len(raw)-4]+"AAAA"); err == nil {
		t.Error("an altered ID token was taken")
	}
}

// verified checks the ID token of an answer as the library does, and its binding to the access token.
func verified(t *testing.T, ctx context.Context, verify *oidc.IDTokenVerifier, token *oauth2.Token) *oidc.IDToken {
	t.Helper()
	raw, _ := token.Extra("id_token").(string)
	id, err := verify.Verify(ctx, raw)
	if err != nil {
		t.Fatal(err)
	}
	if err := id.VerifyAccessToken(token.AccessToken); err != nil {
		t.Errorf("at_hash: %v", err)
	}
	return id
}

// TestGoOIDCLogsOut shows that logout by the address that discovery names ends the login and its tokens.
func TestGoOIDCLogsOut(t *testing.T) {
	w := rptest.New(t, rptest.Options{})
	ctx := oidc.ClientContext(t.Context(), w.HTTP)
	provider, err := oidc.NewProvider(ctx, w.URL)
	if err != nil {
		t.Fatal(err)
	}
	var document struct {
		EndSession string `json:"end_session_endpoint"`
		Revocation string `json:"revocation_endpoint"`
	}
	if err := provider.Claims(&document); err != nil || document.EndSession == "" || document.Revocation == "" {
		t.Fatalf("%+v, %v", document, err)
	}
	person, app := w.Browser(t), rptest.Web()
	tokens := w.TokensFor(t, person, "alice", app.Ask("openid catalogue.read"))
	page, err := person.Open(t.Context(), document.EndSession+"?"+rptest.Form("id_token_hint", tokens.ID,
		"post_logout_redirect_uri", "https://app.example/goodbye", "state", "bye").Encode())
	if err != nil {
		t.Fatal(err)
	}
	if page.URL.String() != "https://app.example/goodbye?state=bye" {
		t.Errorf("logout led to %s", page.URL)
	}
	if w.Active(t, tokens.Access) {
		t.Error("the token of a login survives its logout")
	}
	if page := w.Open(t, person, app.Ask("openid")); page.Form == nil || !page.Form.Fields["password"] {
		t.Error("after the logout the person is still signed in")
	}
}
