package wire

import (
	"fmt"
	"net/http"
	"net/url"
)

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
