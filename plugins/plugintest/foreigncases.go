package plugintest

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// foreignCases: an issuer that is not phantomgate's is understood in its own
// words, and nothing of it passes that nobody has let pass by name.
func foreignCases() []Case {
	var cases []Case
	for _, kind := range foreignKinds() {
		cases = append(cases, kind.cases()...)
		cases = append(cases, kind.answerCases()...)
		cases = append(cases, kind.jwtCases()...)
	}
	return cases
}

const eventsRead = "eventcatalog.read"

// with makes a case of this kind; the accepts are members of the issuer's
// config, set to true.
func (k foreignKind) with(name string, check func(w *Walk), accepts ...string) Case {
	return Case{Name: "foreign/" + k.answer + ": " + name, Check: check, Config: func(c *Config) {
		k.use(c)
		for _, accept := range accepts {
			c.Issuer[accept] = true
		}
	}}
}

func (k foreignKind) cases() []Case {
	posted := k.with("passed with the secret in the form", func(w *Walk) {
		w.isSwapped(w.Passed(w.Get(Events, w.Issuer.GrantForeign(Token{Scopes: []string{eventsRead}}))))
	})
	byHeader := posted.Config
	posted.Config = func(c *Config) { byHeader(c); c.Issuer["clientAuth"] = "post" }
	wrong := k.with("a wrong gateway secret is 502", func(w *Walk) {
		w.Refused(w.Get(Events, w.Issuer.GrantForeign(Token{Scopes: []string{eventsRead}})), http.StatusBadGateway, "issuer_error")
		w.NothingPassed()
	})
	right := wrong.Config
	wrong.Config = func(c *Config) { right(c); c.Issuer["clientSecret"] = "canary-wrong-secret" }
	return []Case{
		k.with("passed, and asked in its words", k.passes), posted, wrong,
		k.with("inactive is 401", func(w *Walk) {
			w.Refused(w.Get(Events, "unknown-reference"), http.StatusUnauthorized, "invalid_token")
			w.NothingPassed()
		}),
		k.with("revoked is refused soon", func(w *Walk) {
			reference := w.Issuer.GrantForeign(Token{Scopes: []string{eventsRead}})
			w.Passed(w.Get(Events, reference))
			w.Issuer.Revoke(reference)
			w.eventually("the revoked reference is refused", func() bool {
				return w.Get(Events, reference).Status == http.StatusUnauthorized
			})
		}),
		k.with("down is 503, never 401", func(w *Walk) {
			reference := w.Issuer.GrantForeign(Token{Scopes: []string{eventsRead}})
			w.Issuer.Down()
			w.unavailable(w.Get(Events, reference))
			w.NothingPassed()
		}),
		k.with("what cannot be a reference is not asked about", unaskedForeign),
		k.with("passed as a reference, a JWT", func(w *Walk) {
			jwtLike := "eyJhbGciOiJub25lIn0.e30.c2ln"
			w.Refused(w.Get(Events, jwtLike), http.StatusUnauthorized, "invalid_token")
			if n := w.Issuer.AskedAbout(jwtLike); n != 1 {
				w.T.Errorf("the issuer was asked %d times about a JWT that is let in by name", n)
			}
			w.NothingPassed()
		}, "acceptJwtReferences"),
	}
}

func (k foreignKind) passes(w *Walk) {
	reference := w.Issuer.GrantForeign(Token{Scopes: []string{eventsRead}})
	for range 2 {
		got := w.Passed(w.Get(Events, reference))
		w.isSwapped(got)
		if claims := got.Claims(); claims["sub"] != "alice-id" || claims["aud"] != "eventcatalog" || claims["scope"] != eventsRead {
			w.T.Errorf("claims %v", claims)
		}
		if strings.Contains(strings.Join(got.Header["Authorization"], ""), reference) {
			w.T.Error("the reference reached the upstream")
		}
	}
	want := Asked{Reference: reference, Accept: k.accept, Secret: gatewayS}
	if k.exchanges() {
		want.Audience, want.Scope = "eventcatalog", eventsRead
	}
	for _, asked := range w.Issuer.Asked() {
		if asked != want {
			w.T.Errorf("the issuer was asked for audience %q, scope %q as %q (secret as registered: %t)",
				asked.Audience, asked.Scope, asked.Accept, asked.Secret == gatewayS)
		}
	}
}

// unaskedForeign: nothing is known of a foreign reference but RFC 6750's
// characters; a length is ours to bound; a JWT is nobody's reference.
func unaskedForeign(w *Walk) {
	for _, token := range []string{"a b", `a"b`, "=", "a=b", "é", "a,b", strings.Repeat("a", 4<<10+1),
		"eyJhbGciOiJub25lIn0.e30.", "eyJhbGciOiJub25lIn0.e30.c2ln", "a.b.c.d.e"} {
		r := w.Get(Events, "", authorization("Bearer "+token))
		if r.Status != http.StatusUnauthorized && r.Status != http.StatusBadRequest {
			w.T.Errorf("answered %d for what can be no reference", r.Status)
		}
	}
	if n := len(w.Issuer.Asked()); n != 0 {
		w.T.Errorf("the issuer was asked %d times", n)
	}
	w.NothingPassed()
}

// answerCases: what is missing from an answer, or stands there in another
// form, is never filled in.
func (k foreignKind) answerCases() []Case {
	jsonBody := func(body string) Behaviour {
		return Behaviour{Status: 200, ContentType: "application/json", Body: body}
	}
	member := func(change func(answer map[string]any)) Behaviour { return Behaviour{Members: change} }
	set := func(name string, value any) Behaviour {
		return member(func(answer map[string]any) { answer[name] = value })
	}
	without := func(name string) Behaviour { return member(func(answer map[string]any) { delete(answer, name) }) }
	answers := map[string]Behaviour{
		"an empty 200":     {Status: 200, ContentType: k.accept},
		"HTML":             {Status: 200, ContentType: "text/html", Body: "<h1>Sign in</h1>"},
		"no content type":  {Status: 200, Body: `{"active":true}`},
		"a bare 403":       {Status: 403, ContentType: "text/html", Body: "<h1>No</h1>"},
		"insufficient 403": {Status: 403, ContentType: "application/json", Body: `{"error":"access_denied"}`},
	}
	if k.member != "" {
		maps.Copy(answers, map[string]Behaviour{
			"no JWT":              without(k.member),
			"an empty JWT":        set(k.member, ""),
			"a JWT that is null":  set(k.member, nil),
			"a JWT in a list":     set(k.member, []string{"a.b.c"}),
			"another token_type":  set("token_type", "DPoP"),
			"a list":              jsonBody(`[]`),
			"broken JSON":         jsonBody(`{"active":true,`),
			"more after the JSON": jsonBody(`{"active":true}{}`),
			"a 204":               {Status: 204, ContentType: "application/json"},
		})
	}
	switch {
	case k.exchanges():
		maps.Copy(answers, map[string]Behaviour{
			"no issued_token_type":      without("issued_token_type"),
			"another issued_token_type": set("issued_token_type", "urn:ietf:params:oauth:token-type:refresh_token"),
			"no token_type":             without("token_type"),
			"expires_in as text":        set("expires_in", "soon"),
			"invalid_target":            {Status: 400, ContentType: "application/json", Body: `{"error":"invalid_target"}`},
		})
	case k.member != "":
		maps.Copy(answers, map[string]Behaviour{
			"no active":           without("active"),
			"active in capitals":  member(func(answer map[string]any) { delete(answer, "active"); answer["Active"] = true }),
			"active as text":      set("active", "true"),
			"active as a number":  set("active", 1),
			"active that is null": set("active", nil),
			"active said twice":   jsonBody(`{"active":false,"active":true,"` + k.member + `":"a.b.c"}`),
		})
	}
	var cases []Case
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		b := answers[name]
		cases = append(cases, k.with("refused, answering "+name, func(w *Walk) {
			w.Issuer.Behave(b)
			w.Refused(w.Get(Events, w.Issuer.GrantForeign(Token{Scopes: []string{eventsRead}})), http.StatusBadGateway, "issuer_error")
			w.NothingPassed()
		}))
	}
	return cases
}

// jwtCases: what the gateway must be told by name to let pass, and what it
// lets pass then; and what nobody can have pass.
func (k foreignKind) jwtCases() []Case {
	others := claimAs("aud", []string{"eventcatalog", "shoppingbasket"})
	wider := claimAs("scope", eventsRead+" eventcatalog.admin openid")
	typ := Behaviour{Mint: func(header map[string]any, _ jwt.MapClaims) { header["typ"] = "JWT" }}
	refused := func(b Behaviour, status int) func(w *Walk) {
		return func(w *Walk) {
			w.Issuer.Behave(b)
			reference := w.Issuer.GrantForeign(Token{Scopes: []string{eventsRead}})
			for range 2 { // one kept unverified shows on the hit
				w.Refused(w.Get(Events, reference), status, "")
			}
			w.NothingPassed()
		}
	}
	passed := func(b Behaviour) func(w *Walk) {
		return func(w *Walk) {
			w.Issuer.Behave(b)
			reference := w.Issuer.GrantForeign(Token{Scopes: []string{eventsRead}})
			for range 2 {
				w.isSwapped(w.Passed(w.Get(Events, reference)))
			}
			// What is let pass is not a right: a route of another scope judges as ever.
			w.Refused(w.Do(w.Request("POST", Events, reference)), http.StatusForbidden, "insufficient_scope")
		}
	}
	all := []string{"acceptOtherAudiences", "acceptOtherScopes", "acceptTypJwt", "acceptJwtReferences"}
	elsewhere := http.StatusForbidden // alive, for another API
	if k.exchanges() {
		elsewhere = http.StatusBadGateway // it was asked for this one
	}
	return []Case{
		k.with("refused unless named, other audiences", refused(others, http.StatusBadGateway)),
		k.with("refused unless named, other scopes", refused(wider, http.StatusBadGateway)),
		k.with("refused unless named, typ JWT", refused(typ, http.StatusBadGateway)),
		k.with("passed by name, other audiences", passed(others), "acceptOtherAudiences"),
		k.with("passed by name, other scopes", passed(wider), "acceptOtherScopes"),
		k.with("passed by name, typ JWT", passed(typ), "acceptTypJwt"),
		k.with("refused always, no aud", refused(claimAs("aud", nil), http.StatusBadGateway), all...),
		k.with("refused always, an empty aud", refused(claimAs("aud", []string{}), http.StatusBadGateway), all...),
		k.with("refused always, another API's", refused(claimAs("aud", "shoppingbasket"), elsewhere), all...),
		k.with("refused always, another issuer's", refused(claimAs("iss", "https://elsewhere.example"), http.StatusBadGateway), all...),
		k.with("refused always, a stranger's signature", refused(Behaviour{Sign: signedByStranger}, http.StatusBadGateway), all...),
		k.with("refused always, no exp", refused(claimAs("exp", nil), http.StatusBadGateway), all...),
		k.with("refused always, bound to a key", refused(claimAs("cnf", map[string]any{"jkt": "x"}), http.StatusBadGateway), all...),
		k.with("refused always, too few scopes", refused(claimAs("scope", "openid"), http.StatusForbidden), all...),
	}
}

// foreignConfigCases: how a foreign issuer is spoken to is said in full.
func foreignConfigCases() []Case {
	changes := map[string]struct {
		change func(c *Config)
		says   string
	}{
		"an answer nobody knows":    {func(c *Config) { c.Issuer["answer"] = "keycloak" }, "issuer.answer"},
		"no introspection endpoint": {func(c *Config) { foreignKinds()[1].use(c); delete(c.Issuer, "introspectionEndpoint") }, "issuer.introspectionEndpoint"},
		"no token endpoint":         {func(c *Config) { foreignKinds()[3].use(c); delete(c.Issuer, "tokenEndpoint") }, "issuer.tokenEndpoint"},
		"no key set":                {func(c *Config) { foreignKinds()[0].use(c); delete(c.Issuer, "jwksUri") }, "issuer.jwksUri"},
		"both endpoints":            {func(c *Config) { foreignKinds()[3].use(c); c.Issuer["introspectionEndpoint"] = "https://a.example" }, "issuer.introspectionEndpoint"},
		"acceptance of our own":     {func(c *Config) { c.Issuer["acceptOtherScopes"] = true }, "issuer.acceptOtherScopes"},
		"an unknown client_auth":    {func(c *Config) { c.Issuer["clientAuth"] = "none" }, "issuer.clientAuth"},
	}
	var cases []Case
	for _, name := range slices.Sorted(maps.Keys(changes)) {
		c := changes[name]
		cases = append(cases, Case{Name: "foreign/config: " + name, Check: func(w *Walk) {
			w.configRefused(c.change, []string{c.says})
		}})
	}
	return cases
}
