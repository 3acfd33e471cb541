package caddy

import (
	"errors"
	"fmt"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/phantomgate/phantomgate/plugins/gateway"
)

// tokenHandler reads the block of the app that lets a browser app in:
//
//	token_handler <cookie prefix> {
//		origin                    <origin>...
//		cookie_key                <id> file <path>      or: <id> env <name>; the first one seals, all of them open
//		client                    <id>
//		secret_file               <path>                or: secret_env <name>
//		redirect_uri              <page>
//		post_logout_redirect_uri  <page>...
//		scopes                    <scope>...
//		extra_params              <name>...             what the app may add to a login
//		allow_bearer                                    beside cookies, for apps that are no browsers
//		path                      <path>                of the OAuth agent
//		allow_headers             <name>...             across origins, beside the usual ones
//		expose_headers            <name>...
//		session_max_age           <duration>
//		login_max_age             <duration>
//		refresh_margin            <duration>
//		without_iss                                     for issuers without RFC 9207
//		authorization_endpoint, end_session_endpoint, token_endpoint, revocation_endpoint, userinfo_endpoint <address>
//	}
func (r *report) tokenHandler(line *caddyfile.Dispenser) *gateway.TokenHandler {
	const field = "tokenHandler"
	h := &gateway.TokenHandler{}
	r.at(field, "", line)
	r.at(field+".cookiePrefix", "token_handler", line)
	r.value(line, setting{keyword: "token_handler", field: field + ".cookiePrefix", set: text(&h.CookiePrefix)})
	one, lists, flags := tokenHandlerSettings(h)
	seen := map[string]bool{}
	for _, sub := range blockLines(line) {
		keyword := sub.Val()
		if seen[keyword] && keyword != "cookie_key" {
			r.fault(sub, "%s is given twice; keep one", keyword)
			continue
		}
		seen[keyword] = true
		if s, ok := named(one, keyword); ok {
			r.at(s.field, keyword, sub)
			r.value(sub, s)
		} else if s, ok := named(lists, keyword); ok {
			r.at(s.field, keyword, sub)
			*s.list = r.words(sub, 1)
		} else if s, ok := named(flags, keyword); ok {
			r.at(s.field, keyword, sub)
			r.value(sub, s)
		} else if keyword == "cookie_key" {
			r.cookieKey(sub, h)
		} else {
			r.unknown(sub, append(append(append([]string{"cookie_key"}, keywords(one)...), keywords(lists)...), keywords(flags)...)...)
		}
		r.noBlock(sub, keyword)
	}
	return h
}

// tokenHandlerSettings are the lines of the block by what they take: one value, several, none.
func tokenHandlerSettings(h *gateway.TokenHandler) (one, lists, flags []setting) {
	in := func(name string) string { return "tokenHandler." + name }
	return []setting{
			{keyword: "client", field: in("clientId"), set: text(&h.ClientID)},
			{keyword: "secret_file", field: in("clientSecretFile"), set: text(&h.ClientSecretFile)},
			{keyword: "secret_env", field: in("clientSecretEnv"), set: text(&h.ClientSecretEnv)},
			{keyword: "secret", field: in("clientSecret"), set: noSecret},
			{keyword: "redirect_uri", field: in("redirectUri"), set: text(&h.RedirectURI)},
			{keyword: "path", field: in("path"), set: text(&h.Path)},
			{keyword: "session_max_age", field: in("sessionMaxAge"), set: duration(&h.SessionMaxAge)},
			{keyword: "login_max_age", field: in("loginMaxAge"), set: duration(&h.LoginMaxAge)},
			{keyword: "refresh_margin", field: in("refreshMargin"), set: duration(&h.RefreshMargin)},
			{keyword: "authorization_endpoint", field: in("authorizationEndpoint"), set: text(&h.AuthorizationEndpoint)},
			{keyword: "end_session_endpoint", field: in("endSessionEndpoint"), set: text(&h.EndSessionEndpoint)},
			{keyword: "token_endpoint", field: in("tokenEndpoint"), set: text(&h.TokenEndpoint)},
			{keyword: "revocation_endpoint", field: in("revocationEndpoint"), set: text(&h.RevocationEndpoint)},
			{keyword: "userinfo_endpoint", field: in("userInfoEndpoint"), set: text(&h.UserInfoEndpoint)},
		}, []setting{
			{keyword: "origin", field: in("origins"), list: &h.Origins},
			{keyword: "post_logout_redirect_uri", field: in("postLogoutRedirectUris"), list: &h.PostLogoutRedirectURIs},
			{keyword: "scopes", field: in("scopes"), list: &h.Scopes},
			{keyword: "extra_params", field: in("extraParams"), list: &h.ExtraParams},
			{keyword: "allow_headers", field: in("allowHeaders"), list: &h.AllowHeaders},
			{keyword: "expose_headers", field: in("exposeHeaders"), list: &h.ExposeHeaders},
		}, []setting{
			{keyword: "allow_bearer", field: in("allowBearer"), flag: &h.AllowBearer},
			{keyword: "without_iss", field: in("withoutIss"), flag: &h.WithoutIss},
		}
}

// noSecret refuses a secret that stands in the Caddyfile itself.
func noSecret(string) error {
	return errors.New("a secret does not belong into a Caddyfile, nor into the config that Caddy keeps on disk; use secret_file or secret_env")
}

func named(settings []setting, keyword string) (setting, bool) {
	for _, s := range settings {
		if s.keyword == keyword {
			return s, true
		}
	}
	return setting{}, false
}

// cookieKey reads one key: its id, and where it is kept.
func (r *report) cookieKey(line *caddyfile.Dispenser, h *gateway.TokenHandler) {
	at := fmt.Sprintf("tokenHandler.cookieKeys[%d]", len(h.CookieKeys))
	r.at(at, "cookie_key", line)
	words := r.words(line, 0)
	key := gateway.CookieKey{}
	switch {
	case len(words) == 3 && words[1] == "file":
		key.ID, key.KeyFile = words[0], words[2]
	case len(words) == 3 && words[1] == "env":
		key.ID, key.KeyEnv = words[0], words[2]
	default:
		r.fault(line, "cookie_key takes an id and where the key is kept: cookie_key 2026-11 file /run/secrets/cookie-key, or: cookie_key 2026-11 env COOKIE_KEY")
	}
	h.CookieKeys = append(h.CookieKeys, key)
}
