package shoppingbasket

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const (
	pricesFresh = 10 * time.Second // a price may be that old
	pricesAgain = time.Second      // an event that is not in the list is looked for again after that
	maxList     = 1 << 20
)

// event is what the basket knows of one: a part of what the eventcatalog says.
type event struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	Price    int64  `json:"price"`
	Currency string `json:"currency"`
}

// prices are the eventcatalog's. No user is needed to ask for them, so the basket asks in its own name: by client
// credentials, and through the gateway like everybody, since a reference is all that it has.
type prices struct {
	credentials clientcredentials.Config
	url         string
	issuer      *http.Client // asks for the reference
	gateway     *http.Client
	now         func() time.Time

	mu     sync.Mutex
	source oauth2.TokenSource // keeps the reference until it ends
	events map[string]event
	read   time.Time
}

// find gives the events of these ids that there are.
func (p *prices) find(ctx context.Context, ids ...string) (map[string]event, error) {
	p.mu.Lock() // one request for all who wait
	defer p.mu.Unlock()
	age := p.now().Sub(p.read)
	for _, id := range ids {
		_, known := p.events[id]
		if p.events == nil || age >= pricesFresh || !known && age >= pricesAgain {
			if err := p.fetch(ctx); err != nil {
				return nil, err
			}
			break
		}
	}
	found := map[string]event{}
	for _, id := range ids {
		if e, ok := p.events[id]; ok {
			found[id] = e
		}
	}
	return found, nil
}

// fetch reads the list. A reference that is refused was revoked: it asks for another one, once.
func (p *prices) fetch(ctx context.Context) error {
	status := 0
	for range 2 {
		if p.source == nil || status == http.StatusUnauthorized {
			// The source outlives the request that needs it first.
			p.source = p.credentials.TokenSource(context.WithValue(context.WithoutCancel(ctx), oauth2.HTTPClient, p.issuer))
		}
		token, err := p.source.Token()
		if err != nil {
			return fmt.Errorf("shoppingbasket: no token of its own: %w", err)
		}
		if status, err = p.list(ctx, token); err != nil {
			return err
		}
		if status == http.StatusOK {
			return nil
		}
	}
	return fmt.Errorf("shoppingbasket: the eventcatalog answered %d", status)
}

func (p *prices) list(ctx context.Context, token *oauth2.Token) (status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return 0, fmt.Errorf("shoppingbasket: %w", err)
	}
	token.SetAuthHeader(req)
	resp, err := p.gateway.Do(req)
	if err != nil {
		return 0, fmt.Errorf("shoppingbasket: the eventcatalog does not answer: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return resp.StatusCode, nil
	}
	var list []event
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxList)).Decode(&list); err != nil {
		return 0, fmt.Errorf("shoppingbasket: the eventcatalog's list: %w", err)
	}
	p.events, p.read = map[string]event{}, p.now()
	for _, e := range list {
		p.events[e.ID] = e
	}
	return http.StatusOK, nil
}
