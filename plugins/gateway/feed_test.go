package gateway

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"
)

// TestTheFeedIsSentBasic, whatever client_auth says: a poll is JSON and has no form to put a secret in. A foreign issuer's
// token endpoint has one.
func TestTheFeedIsSentBasic(t *testing.T) {
	const basic = "Basic Z2F0ZXdheTpzZWNyZXQ="
	own := Issuer{Issuer: "https://issuer.example", ClientID: "gateway", ClientSecret: "secret"}
	other := own
	other.Answer, other.IntrospectionEndpoint, other.JWKSURI = "jwt", "https://issuer.example/i", "https://issuer.example/k"
	other.FeedEndpoint, other.FeedVerificationEndpoint, other.FeedTokenEndpoint = "https://issuer.example/s", "https://issuer.example/v", "https://issuer.example/t"
	for name, test := range map[string]struct {
		issuer     Issuer
		auth       string
		url, wants string
	}{
		"basic":          {own, "basic", "https://issuer.example/ssf/streams", basic},
		"post":           {own, "post", "https://issuer.example/ssf/streams", basic},
		"basic, foreign": {other, "basic", "https://issuer.example/t", basic},
		"post, foreign":  {other, "post", "https://issuer.example/t", ""},
	} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan *http.Request, 1)
			test.issuer.ClientAuth = test.auth
			heard, err := NewFeed(Config{Issuer: test.issuer}, Options{Now: time.Now, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
				Transport: firstAsked{asked}})
			if err != nil {
				t.Fatal(err)
			}
			defer heard.Close()
			heard.Start()
			if r := <-asked; r.URL.String() != test.url || r.Header.Get("Authorization") != test.wants {
				t.Errorf("%s was asked with %q", r.URL, r.Header.Get("Authorization"))
			}
		})
	}
}

// firstAsked hands over the first request, and answers none.
type firstAsked struct{ asked chan *http.Request }

func (f firstAsked) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case f.asked <- r:
	default:
	}
	return nil, errors.New("not answered")
}
