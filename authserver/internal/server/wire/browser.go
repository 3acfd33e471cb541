package wire

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

// MaxRequest is the longest request of an app that comes by the browser, in bytes. It travels on in a form of ours, sealed
// and encoded, which must not be longer than MaxForm.
const MaxRequest = MaxForm / 4

// Request gives such a request as it was sent: the query of a GET, the form of a POST. It refuses more than MaxRequest.
func Request(w http.ResponseWriter, r *http.Request) (string, error) {
	if r.Method == http.MethodPost {
		return readForm(w, r, MaxRequest)
	}
	if len(r.URL.RawQuery) > MaxRequest {
		return "", oauth.Errorf(oauth.InvalidRequest, "the request is longer than %d bytes", MaxRequest)
	}
	return r.URL.RawQuery, nil
}

// Redirect sends the browser to an address, which may have parameters of its own: they stay as they are, and more are put
// behind them. It fails on an address that cannot be parsed, and has written nothing then.
//
// It is a 303, and never a 307: that would have the browser post a password on. No referrer: the address of ours that the
// browser comes from is nobody's business.
func Redirect(w http.ResponseWriter, address string, more url.Values) error {
	to, err := url.Parse(address)
	if err != nil {
		return err
	}
	if to.RawQuery != "" && len(more) > 0 {
		to.RawQuery += "&"
	}
	to.RawQuery += more.Encode()
	NoStore(w.Header())
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("Location", to.String())
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// SameOrigin makes the check that a form was sent by a page of the issuer. Browsers too old to say where a form comes from
// pass it, so it is a second line: the ticket in the form is the first.
func SameOrigin(issuer string) (*http.CrossOriginProtection, error) {
	u, err := url.Parse(issuer)
	if err != nil {
		return nil, fmt.Errorf("the issuer: %w", err)
	}
	check := http.NewCrossOriginProtection()
	// A proxy before us may pass another Host than the one that the browser knows.
	if err := check.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
		return nil, fmt.Errorf("the issuer: %w", err)
	}
	return check, nil
}
