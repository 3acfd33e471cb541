package plugins_test

import (
	"testing"

	"github.com/phantomgate/phantomgate/plugins/controltest"
)

// Faults put into the rooms, and the tests that must see them.
var controls = [][5]string{
	{"scopes are not judged", "policy/policy.go", "f.Scopes&r.all != r.all ||", "", "TestJudge"},
	{"expiry is not judged", "policy/policy.go", "now.UnixMilli() >= f.Expires", "false", "TestJudge"},
	{"step-up is not judged", "policy/policy.go", "!slices.Contains(r.acr, f.ACR)", "false", "TestJudge"},
	{"escaped slashes pass", "policy/path.go", `u.RawPath != "" && hidesStructure(u.RawPath)`, "false", "TestNormalPath"},
	{"dot segments pass", "policy/path.go", `return segment == "." || segment == ".."`, "return false", "TestNormalPath"},
	{"a less specific path answers", "policy/table.go", "if m := t.exact[path]; m != nil {", "if m := t.exact[path]; m != nil && m.find(r.Method) != nil {", "TestMatch"},
	{"a prefix answers for a path with a slash more", "policy/table.go", "	t.findTwins()\n", "", "TestMatch"},
	{"other spellings of methods pass", "policy/table.go", "route == nil && isOrdinary(method)", "route == nil", "TestMatch"},
	{"a bad signature passes", "phantomtoken/verify.go", "case err != nil:\n\t\treturn policy.Facts{}, fmt.Errorf(\"%w: %w\", ErrIssuer, err)\n\tcase !token.Valid:", "case token == nil:", "TestSignatureIsVerifiedBeforeCaching"},
	{"other audiences pass", "phantomtoken/verify.go", "len(c.Audience) != 1 ||", "len(c.Audience) == 0 ||", "TestVerify"},
	{"any kind of JWT passes", "phantomtoken/verify.go", `typ != "at+jwt"`, "false", "TestVerify"},
	{"scopes that were not asked for pass", "phantomtoken/verify.go", `return 0, errors.New("its JWT carries a scope that was not asked for")`, "continue", "TestVerify"},
	{"other tenants pass", "phantomtoken/verify.go", "tenant != v.tenant", "false", "TestVerify"},
	{"the cache key forgets the scopes", "phantomtoken/phantomtoken.go", "append([]string{s.issuer, s.tenant, audience}, scopes...)", "[]string{s.issuer, s.tenant, audience}", "TestKeysAreApart"},
	{"the cache key forgets the tenant", "phantomtoken/phantomtoken.go", "[]string{s.issuer, s.tenant, audience}", "[]string{s.issuer, audience}", "TestKeysAreApart"},
	{"the cache outlives max-age", "phantomtoken/phantomtoken.go", "life = min(life, found.maxAge)", "", "TestLifetime"},
	{"the cache outlives exp", "phantomtoken/phantomtoken.go", "life = min(life, time.UnixMilli(facts.Expires).Sub(sent))", "", "TestLifetime"},
	{"references are not checked", "phantomtoken/phantomtoken.go", "if !s.references.has(reference) {", "if false {", "TestGarbageIsRefusedUnasked"},
	{"an issuer that is down says inactive", "phantomtoken/introspection.go", `return answer{}, &UnavailableError{retryAfter(resp.Header.Get("Retry-After")), reason}`, "_ = reason; return answer{}, ErrInactive", "TestAnswers"},
	{"an unknown 403 means insufficient", "phantomtoken/dialect.go", `&& code == "insufficient_scope"`, "", "TestAnswers"},
	{"redirects are followed", "phantomtoken/introspection.go", "return http.ErrUseLastResponse", "return nil", "TestRedirectsAreNotFollowed"},
	{"keys are fetched without limit", "phantomtoken/keys.go", "l.spent >= fetchBurst", "false", "TestUnknownKidIsRateLimited"},
	{"symmetric keys are used", "phantomtoken/keys.go", `k.Type == "oct" ||`, "", "TestSymmetricAndForeignKeysAreIgnored"},
	{"an old flight is joined", "phantomtoken/phantomtoken.go", "	asks.joinable, asks.now = cfg.MaxAge, cfg.Now\n", "", "TestAnOldFlightIsNotJoined"},
	{"all wait for newer keys", "phantomtoken/keys.go", "if age <= keysUsable {", "if false {", "TestOldKeysDoNotHoldUpRequests"},
	{"a lost probe keeps the breaker open", "phantomtoken/phantomtoken.go", "if change := s.breaker.leave(", "if v == unknown {\n\t\t\treturn\n\t\t}\n\t\tif change := s.breaker.leave(", "TestPanickingProbe"},
	{"a flood takes all introspections", "phantomtoken/flight.go", "|| free <= f.reserved && !f.favoured(k)", "", "TestKnownReferencesHaveRoomInAFlood"},
	{"leaked keys are used", "phantomtoken/keys.go", `k.Private != nil ||`, "", "TestSymmetricAndForeignKeysAreIgnored"},
	{"one that hangs up ends it for all", "phantomtoken/flight.go", "if fl.waiting == 0 {", "if true {", "TestFlightOutlivesAWaiter"},
	{"the negative cache grows", "phantomtoken/negative.go", "len(n.young) >= n.limit", "false", "TestFloodOfReferencesLeavesGoodTokens"},
	{"the policy is not judged on hits", "gateway/gateway.go", "refusal := route.Judge(token.Facts, now); refusal != nil {", "refusal := route.Judge(token.Facts, now); refusal != nil && !outcome.Cached {", "TestPolicyIsJudgedOnHits"},
	{"an address of another scheme passes", "policy/path.go", " || !isHTTP(u.Scheme)", "", "TestNormalPath"},
	{"identity headers pass", "gateway/gateway.go", "	o.identity.remove(r.Header)\n", "", "TestApplyLeavesOneAuthorization"},
	{"any protocol is upgraded to", "gateway/gateway.go", "	dropUpgrade(r.Header)\n", "", "TestOnlyWebSocketsAreUpgraded"},
	{"the client's Connection outlives Apply", "gateway/gateway.go", "	endHop(r.Header)\n", "", "TestConnectionNamesOnlyTheClientsOwn"},
	{"trailers pass", "gateway/gateway.go", "	r.Trailer = nil\n", "", "TestNoTrailersPass"},
	{"headers with underscores pass", "gateway/identity.go", "table[i] = '-'", "table[i] = c", "TestIdentityHeadersAreRemoved"},
	{"a panic gets through", "gateway/gateway.go", "		*outcome = Outcome{refusal: policy.ServerError(), identity: g.identity}\n", "		*outcome = Outcome{allowed: true, identity: g.identity}\n", "TestPanicRefuses"},
	{"a forgotten outcome passes", "gateway/gateway.go", "o.refusal == nil && !o.allowed", "false", "TestZeroOutcomeRefuses"},
	{"an unknown error passes", "gateway/gateway.go", "	return policy.ServerError()\n}\n\n// Outcome", "	return nil\n}\n\n// Outcome", "TestUnknownErrorsRefuse"},
	{"unknown keys pass", "gateway/strictjson.go", "case !known:", "case !known && key == \"\":", "TestParseFaults"},
}

func TestControls(t *testing.T) {
	all := controltest.Table(controls)
	for room, test := range map[string]string{"claims": "TestRead", "phantomtoken": "TestVerify", "tokenhandler": "TestIDToken"} {
		all = append(all, controltest.Control{
			Fault: "claims are read in any case by " + room, File: "claims/claims.go", In: room, Test: test,
			Old: "value, ok := members[name]", New: "value, ok := members[name]; if !ok { value, ok = members[string(name[0]-32)+name[1:]] }",
		})
	}
	all = append(all, controltest.Control{
		Fault: "another's claim takes the place", File: "claims/claims.go", In: "tokenhandler", Test: "TestSessionIsOfItsExactClaims",
		Old: "value, ok := members[name]", New: "value, ok := members[\"ſ\"+name[1:]]; if !ok { value, ok = members[name] }",
	})
	controltest.Run(t, all)
}
