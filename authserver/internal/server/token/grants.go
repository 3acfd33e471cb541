package token

import (
	"context"
	"net/url"

	"github.com/phantomgate/phantomgate/authserver/internal/grants"
	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

func (h *Handler) redeemCode(ctx context.Context, r request) (grants.Answer, error) {
	r.wanted.Scopes = nil // RFC 6749, 4.1.3: the scope was settled with the user
	return h.Grants.RedeemCode(ctx, r.tenant, r.client, grants.CodeRequest{
		Code: r.form.Get("code"), RedirectURI: r.form.Get("redirect_uri"), Verifier: r.form.Get("code_verifier"), Wanted: r.wanted,
	})
}

func (h *Handler) refresh(ctx context.Context, r request) (grants.Answer, error) {
	return h.Grants.Refresh(ctx, r.tenant, r.client, grants.RefreshRequest{Reference: r.form.Get("refresh_token"), Wanted: r.wanted})
}

func (h *Handler) clientCredentials(ctx context.Context, r request) (grants.Answer, error) {
	return h.Grants.ClientCredentials(ctx, r.tenant, r.client, r.births, r.wanted)
}

// wantedOf reads what the request narrows its access token to. The audience may be named as in RFC 8693 (audience) or as
// in RFC 8707 (resource); our audiences have logical names, and either parameter takes one.
func wantedOf(form url.Values) (grants.Wanted, error) {
	scopes, err := oauth.SplitScope(form.Get("scope"))
	if err != nil {
		return grants.Wanted{}, err
	}
	audience, resource := form.Get("audience"), form.Get("resource")
	if audience != "" && resource != "" && audience != resource {
		return grants.Wanted{}, oauth.Errorf(oauth.InvalidTarget, "audience and resource name two audiences; ask for one at a time")
	}
	if audience == "" {
		audience = resource
	}
	return grants.Wanted{Scopes: scopes, Audience: audience}, nil
}
