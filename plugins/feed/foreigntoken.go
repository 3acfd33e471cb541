package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// login gets a bearer token. The one before stays when there is none.
func (f *Feed) login(ctx context.Context, timeout time.Duration) error {
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {f.cfg.Foreign.Scope}}
	if f.cfg.Foreign.SecretInForm {
		form.Set("client_id", f.cfg.ClientID)
		form.Set("client_secret", f.cfg.ClientSecret)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.cfg.Foreign.TokenEndpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if !f.cfg.Foreign.SecretInForm {
		req.Header.Set("Authorization", basic(f.cfg.ClientID, f.cfg.ClientSecret))
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, mostBody))
	if err != nil {
		return err
	}
	var answer struct {
		Token   string `json:"access_token"`
		Type    string `json:"token_type"`
		Expires int64  `json:"expires_in"`
	}
	switch {
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500:
		return fmt.Errorf("the token endpoint: %w", &laterError{resp.StatusCode, retryAfter(resp)})
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the token endpoint answered %d: there is no token for the feed; check the client id, its secret and issuer.feedScope", resp.StatusCode)
	case json.Unmarshal(data, &answer) != nil || answer.Token == "" || !strings.EqualFold(answer.Type, "Bearer"):
		return errors.New("the token endpoint answered without a bearer token")
	}
	f.authorization, f.foreign.tokenEnds = "Bearer "+answer.Token, time.Time{}
	if answer.Expires > 0 { // a new one is got a little before
		f.foreign.tokenEnds = f.cfg.Now().Add(time.Duration(min(answer.Expires, 1<<31)) * time.Second * 9 / 10)
	}
	return nil
}

const (
	// errandPause is how long an errand waits after it failed, or longer if that is asked for.
	errandPause = 5 * time.Second
	// errandTimeout is how long it may take: the polls wait for it.
	errandTimeout = 2 * time.Second
)

// errand is something that is done now and then between polls. While it fails the polls go on.
type errand struct {
	again  time.Time // not before
	failed int       // in a row
}

// tries does an errand, if it is time for it. Of a failure an operator is told.
func (f *Feed) tries(e *errand, what string, do func() error) {
	now := f.cfg.Now()
	if now.Before(e.again) {
		return
	}
	err := do()
	if err == nil {
		*e = errand{}
		return
	}
	pause := errandPause
	var later *laterError
	if errors.As(err, &later) {
		pause = max(pause, min(later.retryAfter, mostRetryAfter))
	}
	e.again = now.Add(pause)
	if e.failed++; e.failed%remindErrand == 1 {
		f.cfg.Logger.Warn("what the revocation feed needs cannot be had; it is heard for as long as that may last",
			"what", what, "failures", e.failed, "error", err)
	}
}

// remindErrand is as remindEvery: about once a minute.
const remindErrand = 12
