// Package account is the demo API behind the shop's "revoke me" button: it ends everything that was ever allowed in the
// caller's own name. It holds the operator's secret so that no browser does, and what it can be made to do with it is
// this one thing: the user is the one whose token it has verified, and no request says another.
//
//	POST /api/account/revoke   scope account.revoke
//	GET  /api/account/whoami   scope account.revoke
package account

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/phantomgate/phantomgate/apiguard"
	"github.com/phantomgate/phantomgate/testbed/apis/jsonhttp"
	"github.com/phantomgate/phantomgate/testbed/apis/whoami"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Audience is the API's name at the issuer; its scopes begin with it.
const (
	Audience    = "account"
	ScopeRevoke = "account.revoke"

	revokePath = "/api/account/revoke"
	whoamiPath = "/api/account/whoami"
)

// adminTimeout bounds getting the operator's token and revoking, together.
const adminTimeout = 5 * time.Second

// Config says whose tokens the API accepts, and how it operates the issuer.
type Config struct {
	Issuer               string // what a token's "iss" must be
	JWKSURL              string // where the issuer's keys are
	InsecureKeysOverHTTP bool   // lets JWKSURL be plain http on a host that is not loopback: for a network of the issuer's and ours alone

	TokenURL       string // the issuer's token endpoint
	RevocationsURL string // the admin API's /admin/v1/revocations
	OperatorID     string // a client that may revoke
	OperatorSecret string

	Logger *slog.Logger
}

// New makes the API.
func New(cfg Config) (http.Handler, error) {
	guard, err := apiguard.New(apiguard.Config{Issuer: cfg.Issuer, JWKSURL: cfg.JWKSURL, InsecureKeysOverHTTP: cfg.InsecureKeysOverHTTP, Audience: Audience, Logger: cfg.Logger})
	if err != nil {
		return nil, fmt.Errorf("account: %w", err)
	}
	if cfg.Logger == nil {
		return nil, errors.New("account: Logger is missing")
	}
	for name, value := range map[string]string{"TokenURL": cfg.TokenURL, "RevocationsURL": cfg.RevocationsURL, "OperatorID": cfg.OperatorID, "OperatorSecret": cfg.OperatorSecret} {
		if value == "" {
			return nil, fmt.Errorf("account: %s is missing", name)
		}
	}
	api := &api{logger: cfg.Logger, revocations: cfg.RevocationsURL, operator: clientcredentials.Config{
		ClientID: cfg.OperatorID, ClientSecret: cfg.OperatorSecret, TokenURL: cfg.TokenURL,
		Scopes: []string{"admin"}, AuthStyle: oauth2.AuthStyleInHeader,
	}}
	mux := http.NewServeMux()
	revoke := guard.Require(ScopeRevoke)
	mux.Handle("POST "+revokePath, revoke(http.HandlerFunc(api.revoke)))
	mux.Handle("GET "+whoamiPath, revoke(whoami.Handler()))
	return mux, nil
}

type api struct {
	logger      *slog.Logger
	revocations string
	operator    clientcredentials.Config
}

func (a *api) revoke(w http.ResponseWriter, r *http.Request) {
	claims, ok := apiguard.FromContext(r.Context())
	if !ok || claims.Subject == claims.ClientID {
		jsonhttp.Refuse(w, http.StatusForbidden, "insufficient_scope", "there is no user behind this token")
		return
	}
	// Once begun it goes on: a browser that is closed must not keep its user's tokens alive.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), adminTimeout)
	defer cancel()
	if err := a.revokeUser(ctx, claims.Subject); err != nil {
		a.logger.Error("a user could not be revoked", "error", err)
		jsonhttp.Refuse(w, http.StatusBadGateway, "bad_gateway", "the issuer could not be told, so nothing may have been revoked; try again")
		return
	}
	jsonhttp.Answer(w, http.StatusOK, map[string]bool{"revoked": true})
}

// revokeUser asks the admin API with a fresh token of the operator: a kept one may have been revoked itself.
func (a *api) revokeUser(ctx context.Context, sub string) error {
	token, err := a.operator.Token(ctx)
	if err != nil {
		var refused *oauth2.RetrieveError
		if errors.As(err, &refused) { // its text is the whole answer
			return fmt.Errorf("the issuer gives the operator no token: %s", refused.ErrorCode)
		}
		return err
	}
	body, err := json.Marshal(map[string]string{"user": sub})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.revocations, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	token.SetAuthHeader(req)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16)) // so that the connection is used again
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the admin API answered %d", resp.StatusCode)
	}
	return nil
}
