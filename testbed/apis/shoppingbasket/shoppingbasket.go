// Package shoppingbasket is the demo's second API: everybody's own basket of tickets. It stands for an API that calls
// others. Whose basket it is follows from the token's `sub` and from nothing else, so nobody reaches another's.
//
//	GET  /api/shoppingbasket/basket            scope shoppingbasket.read
//	POST /api/shoppingbasket/basket            scope shoppingbasket.write   {"event":"e1","quantity":2}; 0 takes it out
//	GET  /api/shoppingbasket/whoami            scope shoppingbasket.read
//	GET  /api/shoppingbasket/whoami/discount   scope shoppingbasket.read    what the discount API sees of the same user
//
// Names and prices come from the eventcatalog, which needs no user: by client credentials. The discount comes from the
// discount API on behalf of the user: by token exchange.
package shoppingbasket

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/phantomgate/phantomgate/apiguard"
	"github.com/phantomgate/phantomgate/testbed/apis/discount"
	"github.com/phantomgate/phantomgate/testbed/apis/exchange"
	"github.com/phantomgate/phantomgate/testbed/apis/jsonhttp"
	"github.com/phantomgate/phantomgate/testbed/apis/whoami"
)

// Audience is the API's name at the issuer; its scopes begin with it.
const (
	Audience   = "shoppingbasket"
	ScopeRead  = "shoppingbasket.read"
	ScopeWrite = "shoppingbasket.write"

	basketPath = "/api/shoppingbasket/basket"
	whoamiPath = "/api/shoppingbasket/whoami"
	// eventsScope is all that the basket may do in its own name.
	eventsScope = "eventcatalog.read"

	callTimeout = 5 * time.Second
)

// Config says whose tokens the API accepts, and whom it calls. All of it is needed but Gateway and Now.
type Config struct {
	Issuer               string // what a token's "iss" must be
	JWKSURL              string // where the issuer's keys are
	InsecureKeysOverHTTP bool   // lets JWKSURL be plain http on a host that is not loopback: for a network of the issuer's and ours alone
	TokenURL             string // where the basket gets tokens of its own, and exchanges those it received
	ClientID             string
	ClientSecret         string
	EventsURL            string       // the eventcatalog's events, through the gateway
	DiscountURL          string       // the discount API, which no gateway has a route to
	Gateway              *http.Client // reaches EventsURL; nil: one with a timeout of 5 seconds
	Logger               *slog.Logger
	Now                  func() time.Time // nil: time.Now
}

// New makes the API, with no baskets.
func New(cfg Config) (http.Handler, error) {
	if cfg.EventsURL == "" || cfg.DiscountURL == "" || cfg.Logger == nil {
		return nil, errors.New("shoppingbasket: EventsURL, DiscountURL and Logger are needed")
	}
	guard, err := apiguard.New(apiguard.Config{Issuer: cfg.Issuer, JWKSURL: cfg.JWKSURL, InsecureKeysOverHTTP: cfg.InsecureKeysOverHTTP, Audience: Audience, Logger: cfg.Logger})
	if err != nil {
		return nil, fmt.Errorf("shoppingbasket: %w", err)
	}
	tokens, err := exchange.New(exchange.Config{TokenURL: cfg.TokenURL, ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret,
		Audience: discount.Audience, Scope: discount.Scope, Now: cfg.Now})
	if err != nil {
		return nil, fmt.Errorf("shoppingbasket: %w", err)
	}
	direct := &http.Client{Timeout: callTimeout}
	if cfg.Gateway == nil {
		cfg.Gateway = direct
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	api := &api{
		baskets:   newBaskets(),
		discounts: &discounts{url: cfg.DiscountURL, tokens: tokens, http: direct},
		prices: &prices{url: cfg.EventsURL, issuer: direct, gateway: cfg.Gateway, now: cfg.Now, credentials: clientcredentials.Config{
			ClientID: cfg.ClientID, ClientSecret: cfg.ClientSecret, TokenURL: cfg.TokenURL, Scopes: []string{eventsScope},
			AuthStyle: oauth2.AuthStyleInHeader,
		}},
		log: cfg.Logger,
	}
	read, write := guard.Require(ScopeRead), guard.Require(ScopeWrite)
	mux := http.NewServeMux()
	mux.Handle("GET "+basketPath, read(http.HandlerFunc(api.show)))
	mux.Handle("POST "+basketPath, write(http.HandlerFunc(api.put)))
	mux.Handle("GET "+whoamiPath, read(whoami.Handler()))
	mux.Handle("GET "+whoamiPath+"/discount", read(http.HandlerFunc(api.whoamiDiscount)))
	return mux, nil
}

type api struct {
	baskets   *baskets
	prices    *prices
	discounts *discounts
	log       *slog.Logger
}

// basketAnswer is a basket, priced. Money is in the currency's minor unit: 4500 is 45.00.
type basketAnswer struct {
	Lines    []lineAnswer `json:"lines"`
	Subtotal int64        `json:"subtotal"`
	Percent  int64        `json:"percent"`  // of the discount
	Discount int64        `json:"discount"` // what is taken off
	Total    int64        `json:"total"`
	Currency string       `json:"currency"`
}

type lineAnswer struct {
	Event    string `json:"event"`
	Name     string `json:"name"`
	Quantity int    `json:"quantity"`
	Price    int64  `json:"price"` // of one ticket
	Total    int64  `json:"total"`
}

func (a *api) show(w http.ResponseWriter, r *http.Request) {
	basket, err := a.priced(r)
	if err != nil {
		a.failed(w, r, err)
		return
	}
	jsonhttp.Answer(w, http.StatusOK, basket)
}

// put keeps what was wanted even when the answer then fails: to send the same again is safe.
func (a *api) put(w http.ResponseWriter, r *http.Request) {
	var wanted struct {
		Event    string `json:"event"`
		Quantity *int   `json:"quantity"`
	}
	if !jsonhttp.Read(w, r, &wanted) {
		return
	}
	if wanted.Event == "" || wanted.Quantity == nil || *wanted.Quantity < 0 || *wanted.Quantity > maxQuantity {
		jsonhttp.Refuse(w, http.StatusBadRequest, "invalid_request", fmt.Sprintf("event: an event's id; quantity: 0 to %d", maxQuantity))
		return
	}
	known, err := a.prices.find(r.Context(), wanted.Event)
	if err != nil {
		a.failed(w, r, err)
		return
	}
	if _, ok := known[wanted.Event]; !ok && *wanted.Quantity > 0 {
		jsonhttp.Refuse(w, http.StatusNotFound, "unknown_event", "there is no such event; look at the catalogue for its id")
		return
	}
	owner, ok := ownerOf(r)
	if !ok {
		a.failed(w, r, errNoGuard)
		return
	}
	if err := a.baskets.put(owner, line{wanted.Event, *wanted.Quantity}); err != nil {
		jsonhttp.Refuse(w, http.StatusConflict, "basket_full", err.Error())
		return
	}
	a.show(w, r)
}

var errNoGuard = errors.New("shoppingbasket: the request is not behind a guard")

// ownerOf is whose basket a request may reach.
func ownerOf(r *http.Request) (string, bool) {
	claims, ok := apiguard.FromContext(r.Context())
	return claims.Subject, ok && claims.Subject != ""
}

// priced is the basket of whoever sent the request. An empty one costs no call.
func (a *api) priced(r *http.Request) (basketAnswer, error) {
	owner, ok := ownerOf(r)
	if !ok {
		return basketAnswer{}, errNoGuard
	}
	basket := basketAnswer{Lines: []lineAnswer{}, Currency: "EUR"}
	lines := a.baskets.of(owner)
	if len(lines) == 0 {
		return basket, nil
	}
	var ids []string
	for _, l := range lines {
		ids = append(ids, l.event)
	}
	known, err := a.prices.find(r.Context(), ids...)
	if err != nil {
		return basketAnswer{}, err
	}
	tickets := 0
	for _, l := range lines {
		e, ok := known[l.event]
		if !ok || e.Currency != basket.Currency {
			return basketAnswer{}, fmt.Errorf("shoppingbasket: the eventcatalog has no price for %q any more", l.event)
		}
		total := e.Price * int64(l.quantity)
		basket.Lines = append(basket.Lines, lineAnswer{e.ID, e.Name, l.quantity, e.Price, total})
		basket.Subtotal += total
		tickets += l.quantity
	}
	quote, err := a.discounts.quote(r, discount.Order{Tickets: tickets, Subtotal: basket.Subtotal})
	if err != nil {
		return basketAnswer{}, err
	}
	basket.Percent, basket.Discount, basket.Total = quote.Percent, quote.Discount, basket.Subtotal-quote.Discount
	return basket, nil
}

// whoamiDiscount hands on what the discount API verified when the basket called it for this user.
func (a *api) whoamiDiscount(w http.ResponseWriter, r *http.Request) {
	answer, err := a.discounts.call(r, http.MethodGet, discount.WhoamiPath, nil)
	if err != nil {
		a.failed(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(answer) // the client has gone if this fails
}

// failed tells the client what it can do about it; why goes to the log.
func (a *api) failed(w http.ResponseWriter, r *http.Request, err error) {
	if errors.Is(err, exchange.ErrRefused) {
		const description = "the token is no longer good at the issuer"
		w.Header().Set("WWW-Authenticate", `Bearer realm="`+Audience+`", error="invalid_token", error_description="`+description+`"`)
		jsonhttp.Refuse(w, http.StatusUnauthorized, "invalid_token", description)
		return
	}
	a.log.WarnContext(r.Context(), "a service that the basket needs failed", "error", err)
	jsonhttp.Refuse(w, http.StatusBadGateway, "bad_gateway", "a service that the basket needs does not answer; try again")
}
