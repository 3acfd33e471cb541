package plugins_test

import (
	"testing"

	"github.com/phantomgate/phantomgate/plugins/controltest"
)

// tokenHandlerControls are the faults of the token handler, and the tests that must see them.
var tokenHandlerControls = [][5]string{
	{"cookies are bound to nothing", "tokenhandler/seal.go", "k.aad[p] = additionalData(names.full[p][0], tenant, key.ID)", "k.aad[p] = nil", "TestCookieFaultsAreAllOne"},
	{"cookies are not bound to their names", "tokenhandler/seal.go", "additionalData(names.full[p][0], tenant, key.ID)", "additionalData(tenant, key.ID)", "TestCookieFaultsAreAllOne"},
	{"cookies are not bound to their tenant", "tokenhandler/seal.go", "additionalData(names.full[p][0], tenant, key.ID)", "additionalData(names.full[p][0], key.ID)", "TestCookieFaultsAreAllOne"},
	{"a cookie's last bits are free", "tokenhandler/seal.go", "base64.RawURLEncoding.Strict()", "base64.RawURLEncoding", "TestCookieFaultsAreAllOne"},
	{"a key's tag is free", "tokenhandler/seal.go", "|| !known {", "|| !known && false {", "TestCookieFaultsAreAllOne"},
	{"old keys open nothing", "tokenhandler/seal.go", "for i := range s.keys {", "for i := range s.keys[:1] {", "TestKeyRotationLogsNobodyOut"},
	{"cookies of two logins go together", "tokenhandler/session.go", "if o.stamp != *s {", "if false {", "TestCookiesOfTwoLogins"},
	{"a session has no end", "tokenhandler/session.go", "now >= o.stamp.end ||", "", "TestAbsoluteEnd"},
	{"a refresh moves the end", "tokenhandler/refresh.go", "	s.access = h.accessOf(got)\n", "	s.access = h.accessOf(got)\n	s.end += 3600000\n", "TestAbsoluteEnd"},
	{"chunks may be missing", "tokenhandler/cookies.go", `|| slices.Contains(j.values[p][1:n], "")`, "", "TestCookieFaultsAreAllOne"},
	{"a malformed cookie is told by its time", "tokenhandler/seal.go", "	tag := [keyTagSize]byte(sealed[1:sealPrefix])\n", "	if !ours {\n		return nil\n	}\n	tag := [keyTagSize]byte(sealed[1:sealPrefix])\n", "TestFaultsTakeTheSameWork"},
	{"an unknown key is told by its time", "tokenhandler/seal.go", "	text, err := key.aead.Open(", "	if !known {\n		return nil\n	}\n	text, err := key.aead.Open(", "TestFaultsTakeTheSameWork"},
	{"the issuer is asked before the cookies agree", "tokenhandler/agent.go", "	s, err := h.openSession(j, h.now().UnixMilli())\n	if err == nil {\n		err = h.checkCSRF", "	if o, err := h.openFirst(j, forRefresh); err == nil {\n		_, _ = h.issuer.refresh(r.Context(), string(o.text))\n	}\n	s, err := h.openSession(j, h.now().UnixMilli())\n	if err == nil {\n		err = h.checkCSRF", "TestFaultsTakeTheSameWork"},
	{"the refresh cookie's session is told by its answer", "tokenhandler/session.go", "		case err != nil:\n			return session{}, errCookie\n", "		case err != nil && p == forRefresh:\n			return session{}, errEnded\n		case err != nil:\n			return session{}, errCookie\n", "TestEveryBitOfEveryCookieCounts"},
	{"a damaged ID token's cookie passes", "tokenhandler/session.go", "errors.Is(err, errNoSession) && p == forRefresh:", "errors.Is(err, errNoSession) && p == forRefresh || p == forIdentity && err != nil:", "TestEveryBitOfEveryCookieCounts"},
	{"a known session has no end", "tokenhandler/openings.go", "			return found\n", "			ageless := *found\n			ageless.stamp.end = 1 << 60\n			return &ageless\n", "TestHitsAreJudgedAsMisses"},
	{"a known session outlives its logout", "tokenhandler/openings.go", "			return found\n", "			other := *found\n			other.stamp.session = [16]byte{}\n			return &other\n", "TestHitsAreJudgedAsMisses"},
	{"a known CSRF cookie is of every session", "tokenhandler/session.go", "if o.stamp != *s {", "if o.stamp != *s && o.value == \"\" {", "TestHitsAreJudgedAsMisses"},
	{"a hash is of the times", "tokenhandler/openings.go", "sha256.Sum256(o.text[16:])", "sha256.Sum256(o.text[:16])", "TestHashIsOfTheReference"},
	{"a new reference has the old one's hash", "tokenhandler/proxy.go", "	s.Asked = true\n", "	s.Asked, s.Hash = true, o.hash\n", "TestHashIsOfTheReference"},
	{"a known cookie is good for anything", "tokenhandler/openings.go", " && found.purpose == p", "", "TestKnownCookieInAnotherPlace"},
	{"what was opened outlives the keys", "tokenhandler/openings.go", "func newOpenings() *openings {", "var one = &openings{seed: maphash.MakeSeed()}\n\nfunc newOpenings() *openings { return one }\n\nfunc another() *openings {", "TestOpeningsEndWithTheKeys"},
	{"what does not open is kept", "tokenhandler/session.go", "	o := readOpening(p, h.sealer.open(p, value))\n	if o == nil {\n", "	o := readOpening(p, h.sealer.open(p, value))\n	if o == nil && p.kept() {\n		h.openings.put(value, &opening{purpose: p})\n	}\n	if o == nil {\n", "TestOnlyWhatOpensIsKept"},
	{"one of two cookies counts", "tokenhandler/cookies.go", "j.doubled = j.doubled ||", "j.doubled = false &&", "TestDoubledCookie"},
	{"chunks are left behind", "tokenhandler/cookies.go", "	for _, name := range n.full[p] {", "	for _, name := range n.full[p][:1] {", "TestLogout"},
	{"our cookies go upstream", "tokenhandler/cookies.go", "&& !strings.HasPrefix(name, ours)", "", "TestStripCookies"},
	{"every origin is trusted", "tokenhandler/origin.go", "slices.Contains(c.origins, values[0])", "true", "TestOriginAndCSRF"},
	{"Sec-Fetch-Site is not read", "tokenhandler/origin.go", "if len(site) == 0 {", "if true {", "TestOriginAndCSRF"},
	{"WebSockets need no origin", "tokenhandler/origin.go", ` || len(r.Header["Upgrade"]) > 0`, "", "TestOriginAndCSRF"},
	{"foreign preflights pass", "tokenhandler/origin.go", `if response.origin == "" {`, "if false {", "TestPreflight"},
	{"the CSRF header is not compared", "tokenhandler/proxy.go", "!sameText(said[0], textOf(sealed))", "false && !sameText(said[0], textOf(sealed))", "TestOriginAndCSRF"},
	{"the CSRF header is not asked for", "tokenhandler/proxy.go", "if err == nil && changes(r) {", "if false {", "TestOriginAndCSRF"},
	{"the agent asks for no CSRF header", "tokenhandler/agent.go", "		err = h.checkCSRF(r, j, &s.stamp)\n", "", "TestAgentEndpointsAreGuarded"},
	{"a logout asks for no CSRF header", "tokenhandler/logout.go", "h.checkCSRF(r, j, &s.stamp); err != nil", "h.checkCSRF(r, j, &s.stamp); false", "TestAgentEndpointsAreGuarded"},
	{"state is not compared", "tokenhandler/login.go", `!sameText(answer.Get("state"), l.State)`, "false", "TestLoginAnswers"},
	{"errors are believed without a state", "tokenhandler/login.go", `!sameText(answer.Get("state"), l.State)`, `!answer.Has("error") && !sameText(answer.Get("state"), l.State)`, "TestLoginAnswers"},
	{"iss is not compared", "tokenhandler/login.go", `answer.Get("iss") != h.cfg.Issuer &&`, "false &&", "TestLoginAnswers"},
	{"a login takes for ever", "tokenhandler/login.go", "h.now().UnixMilli() >= l.Expires", "false", "TestLoginIsOfOneBrowserOnceAndSoon"},
	{"every parameter is allowed", "tokenhandler/login.go", "!slices.Contains(h.cfg.ExtraParams, p.Key)", "false && !slices.Contains(h.cfg.ExtraParams, p.Key)", "TestExtraParams"},
	{"nonce is not compared", "tokenhandler/idtoken.go", "!sameText(c.Nonce, nonce)", "false", "TestIDToken"},
	{"azp is not compared", "tokenhandler/idtoken.go", `c.AuthorizedParty == "" && len(c.Audience) > 1, c.AuthorizedParty != "" && c.AuthorizedParty != clientID`, "false", "TestIDToken"},
	{"at_hash is not compared", "tokenhandler/idtoken.go", `c.AccessHash != "" &&`, "false &&", "TestIDToken"},
	{"other issuers' tokens pass", "tokenhandler/idtoken.go", "jwt.WithIssuer(v.issuer), ", "", "TestIDToken"},
	{"other clients' tokens pass", "tokenhandler/idtoken.go", "jwt.WithAudience(v.clientID),", "", "TestIDToken"},
	{"an ID token may be of any type", "tokenhandler/idtoken.go", `typ != "" && !strings.EqualFold(typ, "JWT") {`, "false && typ != \"\" {", "TestIDToken"},
	{"an ID token may end a session", "tokenhandler/idtoken.go", "len(found.Nonce) > 0", "false", "TestBackChannelLogoutRefuses"},
	{"any event ends a session", "tokenhandler/idtoken.go", "json.Unmarshal(found.Events[logoutEvent], &event) != nil || event == nil", "false && event == nil", "TestBackChannelLogoutRefuses"},
	{"old logout tokens pass", "tokenhandler/idtoken.go", "v.now().Sub(found.IssuedAt.Time) > logoutTokenLife", "false", "TestBackChannelLogoutRefuses"},
	{"logout tokens pass twice", "tokenhandler/ended.go", "used && now.Before(until)", "false && used && now.Before(until)", "TestBackChannelLogoutOnce"},
	{"a logout ends later logins", "tokenhandler/ended.go", "ended && s.began <= found.at", "ended && s.began <= found.at+1<<40", "TestBackChannelLogout"},
	{"the list of ended sessions grows", "tokenhandler/ended.go", "(len(e.used) >= e.limit || len(e.issued) >= e.limit)", "false", "TestEndedIsBounded"},
	{"redirects of the issuer are followed", "tokenhandler/issuer.go", "return http.ErrUseLastResponse", "return nil", "TestRedirectsAreNotFollowed"},
	{"a wrong client secret ends sessions", "tokenhandler/issuer.go", `status == http.StatusBadRequest && said.Error == "invalid_grant"`, `said.Error != ""`, "TestRefreshFailures"},
	{"each tab refreshes for itself", "tokenhandler/refresh.go", "call := f.calls[key]; call != nil {", "call := f.calls[key]; call != nil && false {", "TestRefreshesAreCoalesced"},
	{"a refresh outlives a logout", "tokenhandler/refresh.go", "if h.ended.has(&s.stamp) {", "if false {", "TestRefreshDuringLogout"},
	{"a logout leads anywhere", "tokenhandler/logout.go", "!slices.Contains(h.cfg.PostLogoutRedirectURIs, body.PostLogoutRedirectURI)", "false && !slices.Contains(h.cfg.PostLogoutRedirectURIs, body.PostLogoutRedirectURI)", "TestLogoutReturnAddresses"},
	{"a logout leaves the grant", "tokenhandler/logout.go", "		h.drop(r.Context(), s.refresh)\n", "", "TestLogout"},
	{"a failed login leaves the grant", "tokenhandler/login.go", "		h.drop(r.Context(), got.RefreshToken)\n", "", "TestIDToken"},
	{"new cookies may be cached", "tokenhandler/response.go", `w.Header().Set("Cache-Control", "no-store")`, "", "TestWriter"},
	{"cookies go upstream", "gateway/gateway.go", "		o.tokens.StripCookies(r.Header, o.cookies)\n", "", "TestCookieBecomesPhantomToken"},
	{"a bearer token counts where it is not allowed", "gateway/gateway.go", "(!g.allowBearer || err == phantomtoken.ErrNoToken)", "err == phantomtoken.ErrNoToken", "TestCredentials"},
	{"Basic ends the cookie decision", "gateway/gateway.go", "(!g.allowBearer || err == phantomtoken.ErrNoToken)", "!g.allowBearer", "TestCredentials"},
	{"the app cannot read refusals", "gateway/gateway.go", "	o.response.Apply(refusal.Header)\n", "", "TestRefusalsToTheApp"},
	{"an API's CORS headers stand beside ours", "tokenhandler/response.go", "		w.response.applyCORS(w.Header())\n", "", "TestWriter"},
}

func TestTokenHandlerControls(t *testing.T) {
	controltest.Run(t, append(controltest.Table(tokenHandlerControls), controltest.Control{
		Fault: "users whose cookies end together have one hash", File: "tokenhandler/openings.go", In: "gateway", Test: "TestEachUserGetsTheirOwnToken",
		Old: "sha256.Sum256(o.text[16:])", New: "sha256.Sum256(o.text[:16])",
	}))
}
