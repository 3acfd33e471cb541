package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

// IssuerActor stands in records for the issuer itself, so no client may be called that.
const IssuerActor = "issuer"

var clientID = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,64}$`)

var grantTypes = []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken, oauth.GrantClientCredentials, oauth.GrantTokenExchange}

func checkClients(d *decoder, c *Config) {
	scopes := oauth.IssuerScopes()
	var audiences []string
	for _, audience := range c.Audiences {
		audiences = append(audiences, audience.Name)
		for _, scope := range audience.Scopes {
			scopes = append(scopes, scope.Name)
		}
	}
	seen := map[string]bool{}
	for i, client := range c.Clients {
		key := fmt.Sprintf("clients[%d]", i)
		checkClientID(d, key+".id", client.ID, seen)
		checkClientSecret(d, key, client)
		checkGrantTypes(d, key, client)
		checkRedirects(d, key, client)
		checkKnown(d, key+".scopes", client.Scopes, scopes, "scope", "declare it at an audience, or remove it here")
		checkKnown(d, key+".introspects", client.Introspects, audiences, "audience", "declare it under audiences, or remove it here")
		if len(client.Introspects) > 0 && client.Public {
			d.fault(key+".introspects", "is for confidential clients only: anybody could ask in a public one's name", "remove it, or give the client a secret")
		}
		if client.Consent != ConsentAsk && client.Consent != ConsentSkip {
			d.fault(key+".consent", "is not a manner that is offered", "use ask or skip")
		}
		if _, ok := c.Policies[client.PolicyName]; !ok {
			d.fault(key+".policy", "names policy "+shown(client.PolicyName)+", which is not declared", "declare it under policies, or remove it here")
		}
	}
	checkExchanges(d, c)
}

func checkClientID(d *decoder, key, id string, seen map[string]bool) {
	switch {
	case id == "":
		d.fault(key, "is missing", "name the client")
	case !clientID.MatchString(id):
		d.fault(key, "is not a client id", "use up to 64 letters, digits, and . _ ~ -")
	case strings.HasPrefix(id, SubjectPrefix) || id == IssuerActor:
		d.fault(key, shown(id)+" could be taken for a user's sub, or for the issuer", "choose another, not "+IssuerActor+" and not beginning with "+SubjectPrefix)
	case seen[id]:
		d.fault(key, "names client "+shown(id)+" a second time", "keep one")
	}
	seen[id] = true
}

func checkClientSecret(d *decoder, key string, client Client) {
	switch {
	case client.Public && d.has(key+".secret"):
		d.fault(key+".secret", "stands in a public client, which cannot keep one", "remove it, or remove `public: true`")
	case !client.Public && !client.Secret.IsSet() && !d.failed(key+".public"):
		d.fault(key+".secret", "is missing", "write {file: …}, {env: …} or {sha256: …}; or `public: true` for an app that cannot keep a secret")
	}
}

func checkGrantTypes(d *decoder, key string, client Client) {
	key += ".grant_types"
	for i, grant := range client.GrantTypes {
		at := fmt.Sprintf("%s[%d]", key, i)
		switch {
		case !slices.Contains(grantTypes, grant):
			d.fault(at, "is not a grant type that is offered", "use "+strings.Join(grantTypes, ", "))
		case slices.Contains(client.GrantTypes[:i], grant):
			d.fault(at, "names "+shown(grant)+" a second time", "keep one")
		case grant == oauth.GrantClientCredentials && client.Public:
			d.fault(at, "client_credentials in a public client: it has no credentials", "remove it, or give the client a secret")
		case grant == oauth.GrantTokenExchange && client.Public:
			d.fault(at, "token exchange in a public client: anybody could exchange in its name", "remove it, or give the client a secret")
		case grant == oauth.GrantRefreshToken && !slices.Contains(client.GrantTypes, oauth.GrantAuthorizationCode):
			d.fault(at, "refresh_token without authorization_code: nothing would give the client one", "add authorization_code, or remove it")
		}
	}
}

func checkRedirects(d *decoder, key string, client Client) {
	code := slices.Contains(client.GrantTypes, oauth.GrantAuthorizationCode)
	switch {
	case code && len(client.RedirectURIs) == 0:
		d.fault(key+".redirect_uris", "is missing, and authorization_code needs one", "name each redirect URI exactly")
	case !code && len(client.RedirectURIs) > 0:
		d.fault(key+".redirect_uris", "is of no use without authorization_code", "remove it, or add the grant type")
	case !code && len(client.PostLogoutRedirectURIs) > 0:
		d.fault(key+".post_logout_redirect_uris", "is of no use without authorization_code", "remove it, or add the grant type")
	}
	for _, list := range []struct {
		key  string
		uris []string
	}{{key + ".redirect_uris", client.RedirectURIs}, {key + ".post_logout_redirect_uris", client.PostLogoutRedirectURIs}} {
		for i, uri := range list.uris {
			if problem := redirectProblem(uri); problem != "" {
				d.fault(fmt.Sprintf("%s[%d]", list.key, i), problem,
					"write an exact https URI, http on loopback, or a private-use scheme with a dot (com.example.app:/callback)")
			}
		}
	}
}

// redirectProblem says why a client may not register the URI, or "" (RFC 9700, 2.1; RFC 8252, 7).
func redirectProblem(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil || u.Scheme == "" || len(uri) > 2048:
		return "is not an absolute URI"
	case !printable(uri) || strings.ContainsAny(uri, `\"<>`):
		return "has a character that no URI has"
	case strings.Contains(uri, "*"):
		return "has a wildcard: redirect URIs are compared exactly"
	case strings.Contains(uri, "#"):
		return "has a fragment"
	case u.User != nil:
		return "has a user name in it"
	case u.Scheme == "https" && u.Hostname() != "":
		return ""
	case u.Scheme == "http" && loopbackName(u.Hostname()):
		return ""
	case u.Scheme == "https" || u.Scheme == "http":
		return "must be https, with a host; http is for loopback only"
	case !strings.Contains(u.Scheme, "."):
		return "has a scheme that is neither https nor one of the app's own"
	}
	return ""
}

func checkKnown(d *decoder, key string, names, known []string, what, fix string) {
	for i, name := range names {
		at := fmt.Sprintf("%s[%d]", key, i)
		switch {
		case !slices.Contains(known, name):
			d.fault(at, what+" "+shown(name)+" is not declared", fix)
		case slices.Contains(names[:i], name):
			d.fault(at, "names "+shown(name)+" a second time", "keep one")
		}
	}
}
