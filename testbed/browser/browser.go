// Package browser is a person at a browser, for tests: it keeps cookies, follows redirects, and fills in the first form of a
// page by the names of its fields, as the page has them. It runs no script.
package browser

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

const maxPageBytes = 1 << 20

// Browser keeps one person's cookies.
type Browser struct {
	// MaxPages is how many pages a login may show before something is going round in circles: 6, or more where somebody revokes
	// meanwhile, which may have two of them come again.
	MaxPages int

	client *http.Client
}

// New makes a browser without cookies. A nil transport is http.DefaultTransport.
func New(transport http.RoundTripper) (*Browser, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	return &Browser{MaxPages: 6, client: &http.Client{Transport: transport, Jar: jar}}, nil
}

// Page is where redirects have led.
type Page struct {
	URL    *url.URL
	Status int
	Header http.Header
	Body   string
	Form   *Form // the first one of the page, or nil
}

// Form is what a person can fill in.
type Form struct {
	Action string
	Method string
	Hidden url.Values      // sent along as they are
	Fields map[string]bool // the names of fields and buttons
}

// Open goes to an address.
func (b *Browser) Open(ctx context.Context, address string) (*Page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return b.do(req)
}

// Submit sends the page's form with these values, as a browser does: from the page's origin.
func (b *Browser) Submit(ctx context.Context, page *Page, values map[string]string) (*Page, error) {
	if page.Form == nil {
		return nil, fmt.Errorf("there is no form (status %d)", page.Status)
	}
	body := url.Values{}
	for name, hidden := range page.Form.Hidden {
		body[name] = hidden
	}
	for name, value := range values {
		if !page.Form.Fields[name] {
			return nil, fmt.Errorf("the form has no field %q", name)
		}
		body.Set(name, value)
	}
	action, err := page.URL.Parse(page.Form.Action)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(page.Form.Method, http.MethodPost) {
		return nil, errors.New("the form would put what is filled in into an address")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, action.String(), strings.NewReader(body.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", page.URL.Scheme+"://"+page.URL.Host)
	return b.do(req)
}

// LogIn opens an authorization request, signs in where it is asked to, allows what it is asked to allow, and returns the
// page on which that ends.
func (b *Browser) LogIn(ctx context.Context, address, login, password string) (*Page, error) {
	page, err := b.Open(ctx, address)
	for range b.MaxPages {
		switch {
		case err != nil || page.Form == nil:
			return page, err
		case page.Form.Fields["password"]:
			if page.Status != http.StatusOK {
				return page, fmt.Errorf("the sign-in was not accepted: status %d", page.Status)
			}
			page, err = b.Submit(ctx, page, map[string]string{"login": login, "password": password})
		case page.Form.Fields["decision"]:
			page, err = b.Submit(ctx, page, map[string]string{"decision": "allow"})
		default:
			return page, nil
		}
	}
	return page, errors.New("the login goes round in circles")
}

func (b *Browser) do(req *http.Request) (*Page, error) {
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // nothing was written that closing could lose
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPageBytes))
	if err != nil {
		return nil, err
	}
	page := &Page{URL: resp.Request.URL, Status: resp.StatusCode, Header: resp.Header, Body: string(body)}
	document, err := html.Parse(strings.NewReader(page.Body))
	if err != nil {
		return nil, err
	}
	for node := range document.Descendants() {
		if node.Type == html.ElementNode && node.Data == "form" {
			page.Form = readForm(node)
			break
		}
	}
	return page, nil
}

func readForm(form *html.Node) *Form {
	f := &Form{Action: attribute(form, "action"), Method: attribute(form, "method"), Hidden: url.Values{}, Fields: map[string]bool{}}
	for node := range form.Descendants() {
		name := attribute(node, "name")
		switch {
		case node.Type != html.ElementNode || name == "":
		case node.Data == "input" && attribute(node, "type") == "hidden":
			f.Hidden.Add(name, attribute(node, "value"))
		case node.Data == "input" || node.Data == "button":
			f.Fields[name] = true
		}
	}
	return f
}

func attribute(node *html.Node, name string) string {
	for _, a := range node.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}
