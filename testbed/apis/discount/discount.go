// Package discount is the demo's third API, which no gateway has a route to: only a service that exchanged a user's token
// for one with its audience reaches it. It stands for what lies deep inside: it trusts no network, and refuses every token
// that was made for somebody else, whoever sends it.
//
//	POST /api/discount/quote    scope discount.fullaccess
//	GET  /api/discount/whoami   scope discount.fullaccess
package discount

import (
	"fmt"
	"log/slog"
	"net/http"

	"github.com/phantomgate/phantomgate/apiguard"
	"github.com/phantomgate/phantomgate/testbed/apis/jsonhttp"
	"github.com/phantomgate/phantomgate/testbed/apis/whoami"
)

// Audience is the API's name at the issuer; its one scope begins with it.
const (
	Audience = "discount"
	Scope    = "discount.fullaccess"

	QuotePath  = "/api/discount/quote"
	WhoamiPath = "/api/discount/whoami"
)

// Bounds of what a quote is asked for.
const (
	maxTickets  = 10_000
	maxSubtotal = 1_000_000_000_00
)

// Config says whose tokens the API accepts.
type Config struct {
	Issuer               string // what a token's "iss" must be
	JWKSURL              string // where the issuer's keys are
	InsecureKeysOverHTTP bool   // lets JWKSURL be plain http on a host that is not loopback: for a network of the issuer's and ours alone
	Logger               *slog.Logger
}

// Order is what a quote is asked for.
type Order struct {
	Tickets  int   `json:"tickets"`
	Subtotal int64 `json:"subtotal"` // in cents
}

// Quote is the discount on an order.
type Quote struct {
	Percent  int64 `json:"percent"`
	Discount int64 `json:"discount"` // in cents
}

// New makes the API.
func New(cfg Config) (http.Handler, error) {
	guard, err := apiguard.New(apiguard.Config{Issuer: cfg.Issuer, JWKSURL: cfg.JWKSURL, InsecureKeysOverHTTP: cfg.InsecureKeysOverHTTP, Audience: Audience, Logger: cfg.Logger})
	if err != nil {
		return nil, fmt.Errorf("discount: %w", err)
	}
	full := guard.Require(Scope)
	mux := http.NewServeMux()
	mux.Handle("POST "+QuotePath, full(http.HandlerFunc(quote)))
	mux.Handle("GET "+WhoamiPath, full(whoami.Handler()))
	return mux, nil
}

func quote(w http.ResponseWriter, r *http.Request) {
	var order Order
	if !jsonhttp.Read(w, r, &order) {
		return
	}
	if order.Tickets < 0 || order.Tickets > maxTickets || order.Subtotal < 0 || order.Subtotal > maxSubtotal {
		jsonhttp.Refuse(w, http.StatusBadRequest, "invalid_request", fmt.Sprintf("tickets: 0 to %d; subtotal: 0 to %d, in cents", maxTickets, maxSubtotal))
		return
	}
	jsonhttp.Answer(w, http.StatusOK, order.quote())
}

// quote gives more to who buys more: 5 % from two tickets, 10 % from five. Half a cent is the shop's.
func (o Order) quote() Quote {
	percent := int64(0)
	switch {
	case o.Tickets >= 5:
		percent = 10
	case o.Tickets >= 2:
		percent = 5
	}
	return Quote{Percent: percent, Discount: o.Subtotal * percent / 100}
}
