package shoppingbasket

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/phantomgate/phantomgate/testbed/apis/discount"
	"github.com/phantomgate/phantomgate/testbed/apis/exchange"
)

const maxAnswer = 64 << 10

// discounts asks the discount API, for the user who asks the basket: with that user's token, exchanged.
type discounts struct {
	url    string
	tokens *exchange.Client
	http   *http.Client
}

func (d *discounts) quote(r *http.Request, order discount.Order) (discount.Quote, error) {
	body, err := json.Marshal(order)
	if err != nil {
		return discount.Quote{}, fmt.Errorf("shoppingbasket: %w", err)
	}
	answer, err := d.call(r, http.MethodPost, discount.QuotePath, body)
	if err != nil {
		return discount.Quote{}, err
	}
	var quote discount.Quote
	if err := json.Unmarshal(answer, &quote); err != nil {
		return discount.Quote{}, fmt.Errorf("shoppingbasket: the discount API's answer: %w", err)
	}
	if quote.Discount < 0 || quote.Discount > order.Subtotal {
		return discount.Quote{}, fmt.Errorf("shoppingbasket: a discount of %d on %d", quote.Discount, order.Subtotal)
	}
	return quote, nil
}

// call sends one request on behalf of whoever sent r. What is refused with 401 was kept too long: it is exchanged once more.
func (d *discounts) call(r *http.Request, method, path string, body []byte) ([]byte, error) {
	status := 0
	for range 2 {
		token, err := d.tokens.Token(r)
		if err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(r.Context(), method, d.url+path, bytes.NewReader(body))
		if err != nil {
			return nil, fmt.Errorf("shoppingbasket: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		if body != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		var answer []byte
		if status, answer, err = d.send(req); err != nil || status == http.StatusOK {
			return answer, err
		}
		if status != http.StatusUnauthorized {
			break
		}
		d.tokens.Forget(r)
	}
	return nil, fmt.Errorf("shoppingbasket: the discount API answered %d", status)
}

func (d *discounts) send(req *http.Request) (int, []byte, error) {
	resp, err := d.http.Do(req)
	if err != nil {
		return 0, nil, fmt.Errorf("shoppingbasket: the discount API does not answer: %w", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("shoppingbasket: the discount API's answer: %w", err)
	}
	return resp.StatusCode, answer, nil
}
