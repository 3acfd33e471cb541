package plugintest

import (
	"bytes"
	"io"
	"net/http"
	"strings"

	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// foreignFaults are mistakes with issuers that are not phantomgate's.
var foreignFaults = []fault{
	{name: "passes everything of foreign issuers", binding: wrapped(func(_ *core, next http.Handler) http.Handler { return next }),
		fails: []string{"foreign/*: refused*", "foreign/*: inactive*", "foreign/*: down*", "foreign/*: a wrong*", "foreign/*: revoked*",
			"foreign/*: what cannot*"}},
	{name: "refuses everything of foreign issuers", binding: wrapped(refusesEverything), fails: []string{"foreign/*: passed*"}},
	{name: "starts whatever is said of foreign issuers", binding: reverseProxy{lenient: true}, says: "the gateway started",
		fails: []string{"foreign/config*"}},
	{name: "accepts everything unnamed", binding: reverseProxy{config: acceptsAll},
		fails: []string{"foreign/*: refused unless named*", "foreign/*: what cannot*"}},
	{name: "asks in our own words", binding: reverseProxy{config: asksAsPhantom}, fails: []string{"foreign/*: passed, and asked*"}},
	{name: "always sends the secret in the header", binding: reverseProxy{config: func(c *gateway.Config) { c.Issuer.ClientAuth = "" },
		transport: func() http.RoundTripper { return noHeader{} }}, fails: []string{"foreign/*: passed with the secret*"}},
	{name: "takes any answer for active", binding: reverseProxy{transport: func() http.RoundTripper { return alwaysActive{} }},
		fails: []string{"foreign/json-*: refused, answering no active", "foreign/json-*: refused, answering active as *"}},
}

func acceptsAll(c *gateway.Config) {
	i := &c.Issuer
	i.AcceptOtherAudiences, i.AcceptOtherScopes, i.AcceptTypJWT, i.AcceptJWTReferences = true, true, true, true
}

// asksAsPhantom asks every issuer as if it were ours.
func asksAsPhantom(c *gateway.Config) {
	i := &c.Issuer
	if i.TokenEndpoint != "" {
		i.IntrospectionEndpoint, i.TokenEndpoint = i.TokenEndpoint, ""
	}
	i.Answer = ""
}

// noHeader stands for an issuer that does not read the Authorization header.
type noHeader struct{}

func (noHeader) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Del("Authorization")
	return http.DefaultTransport.RoundTrip(r)
}

// alwaysActive mends whatever an answer says, or fails to say, of active.
type alwaysActive struct{}

func (alwaysActive) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil || !strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json") || r.Method == http.MethodGet {
		return answer, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	body = bytes.Replace(body, []byte(`"active":`), []byte(`"was":`), 1)
	answer.Body = io.NopCloser(bytes.NewReader(bytes.Replace(body, []byte("{"), []byte(`{"active":true,`), 1)))
	answer.ContentLength = -1
	return answer, nil
}
