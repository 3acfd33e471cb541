package sessions

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/phantomgate/phantomgate/authserver/internal/seal"
)

// browserCookie tells one browser from another, so that a page of ours can be posted only by the browser it was shown to.
// It is Lax as the session's is: with Strict an entry from another site would not see the cookie of the page that is open
// in another tab, would replace it, and that page's form would be refused.
const browserCookie = "__Host-pgas-browser"

// TicketLife is how long a page may stand open before its form is posted.
const TicketLife = 30 * time.Minute

// ErrTicket says that a form came with a ticket that is altered, expired, of another page, or of another browser.
var ErrTicket = errors.New("sessions: the ticket is not valid here")

// Tickets seals what a page must bring back to us into a hidden field, bound to the browser, the purpose and the tenant.
// The server keeps nothing. It is what stops login CSRF: a form that another site has built, with a ticket of its own
// browser, is refused in every other browser. A ticket is not single use.
type Tickets struct {
	Key seal.Key
	Now func() time.Time
}

type ticket struct {
	ExpiresAt int64           `json:"exp"` // milliseconds since 1970
	Content   json.RawMessage `json:"content"`
}

// Issue seals content for a page, and gives the browser a cookie if it has none.
func (t Tickets) Issue(w http.ResponseWriter, r *http.Request, tenant, purpose string, content any) (string, error) {
	browser := carried(r, browserCookie)
	if browser == "" {
		browser = rand.Text() + rand.Text()
		http.SetCookie(w, cookie(browserCookie, browser))
	}
	inner, err := json.Marshal(content)
	if err != nil {
		return "", fmt.Errorf("sessions: ticket: %w", err)
	}
	plain, err := json.Marshal(ticket{ExpiresAt: t.Now().Add(TicketLife).UnixMilli(), Content: inner})
	if err != nil {
		return "", fmt.Errorf("sessions: ticket: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(t.Key.Seal(purpose, boundTo(tenant, browser), plain)), nil
}

// Open reads into content what Issue sealed for the same browser, tenant and purpose, or fails with ErrTicket.
func (t Tickets) Open(r *http.Request, tenant, purpose, field string, content any) error {
	browser := carried(r, browserCookie)
	sealed, err := base64.RawURLEncoding.DecodeString(field)
	if err != nil || browser == "" {
		return ErrTicket
	}
	plain, err := t.Key.Open(purpose, boundTo(tenant, browser), sealed)
	if err != nil {
		return ErrTicket
	}
	var found ticket
	if err := json.Unmarshal(plain, &found); err != nil {
		return fmt.Errorf("sessions: ticket: %w", err)
	}
	if t.Now().UnixMilli() >= found.ExpiresAt {
		return ErrTicket
	}
	if err := json.Unmarshal(found.Content, content); err != nil {
		return fmt.Errorf("sessions: ticket: %w", err)
	}
	return nil
}

// boundTo names tenant and browser unambiguously: the hash has a fixed length.
func boundTo(tenant, browser string) string {
	return hex.EncodeToString(hash(browser)) + " " + tenant
}
