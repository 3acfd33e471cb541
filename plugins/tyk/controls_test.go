package main

import (
	"testing"

	"github.com/phantomgate/phantomgate/plugins/controltest"
)

// Faults put into the binding, and the tests that must see them.
var controls = [][5]string{
	{"a panic gets through", "hooks.go", "policy.ServerError().Write(w)\n\t\t}\n\t\tif answered", "}\n\t\tif answered", "TestPanicRefuses"},
	{"a refused definition lets pass", "hooks.go", "if a.faults != nil {", "if false {", "TestRefusedAnswers"},
	{"a loop keeps the first API's token", "hooks.go", "	restore(r.Header, \"Authorization\", p.credential.authorization)\n", "", "TestLoop"},
	{"new cookies may be kept by caches", "hooks.go", `w.Header()["Set-Cookie"] != nil`, "false", "TestSuite/auth_check/cookies/.*"},
	{"no token after strip_auth_data", "hooks.go", `		r.Header["Authorization"] = known.phantomToken
`, "", "TestSuite/strip_auth_data/token/.*"},
	{"the first API's definition stays", "tyk.go", "if c.Value(key) != nil {", "if c.Value(key) != nil && false {", "TestLoopIsJudgedAnew"},
	{"two definitions pass", "tyk.go", "classic != nil && openAPI != nil {", "false {", "TestTwoDefinitions"},
	{"post lets pass what nobody has seen", "hooks.go", "if known == nil || known.api != a {", "if known == nil {\n\t\tknown = &passed{}\n\t}\n\tif false {", "TestAFileThatSaysKeyless"},
	{"a KeyID can be foreseen", "sessions.go", "hmac.New(sha256.New, s.key)", "hmac.New(sha256.New, nil)", "TestKeyIDIsNotForeseen"},
	{"another way to authenticate passes", "document.go", "refuse(!d.keyless && d.otherAuth,", "refuse(false,", "TestRefused"},
	{"an operation without a name is none", "document.go", "op.ID = cmp.Or(op.ID, nameless)", "if op.ID = cmp.Or(op.ID, nameless); op.ID == nameless { continue }", "TestOperationRoutes"},
	{"outside the listen path a weaker rule does", "hooks.go", "case !found: // below", "case false && found: // below", "TestOperationRoutes"},
	{"a changed secret is not seen", "definitions.go", "d.gateways.take(string(parts)+string(secrets)", "d.gateways.take(string(parts)", "TestRotatedSecret"},
	{"one KeyID for all users of a client", "sessions.go", "s.keyID(client, subject)", "s.keyID(client, client)", "TestSessions"},
	{"all KeyIDs are stored under one name", "sessions.go", "}, &who.keyHash, nil", "}, &s.open.keyHash, nil", "TestSessions"},
	{"KeyIDs run into each other", "sessions.go", "		h.Write(size[:])\n", "", "TestSessions"},
	{"one KeyID for two tenants", "sessions.go", "[]string{s.issuer, s.tenant}", "[]string{s.issuer}", "TestKeyIDTenants"},
	{"a token without a user gets a session", "sessions.go", `if subject == "" {`, "if false {", "TestNoUserNoSession"},
	{"a token handler is another KeyID", "definitions.go", "	client.TokenHandler = nil ", "	", "TestKeyIDBesideATokenHandler"},
	{"a refused request keeps its credential", "hooks.go", "if answered {", "if answered && false {", "TestNoCredentialIsLeft"},
	{"every event may be told", "document.go", "!slices.Contains(bareEvents, event)", "false", "TestRefused"},
	{"who is kept out by address may be told of", "document.go", "d.addressLists && slices", "false && slices", "TestRefused"},
	{"the cache knows one scope of many", "document.go", "d.cached && config.Issuer.AcceptOtherScopes", "false", "TestRefused"},
	{"sessions are written to Redis", "tyk.go", "ctx.SetSession(r, s, false)", "ctx.SetSession(r, s, true)", "TestSessions"},
	{"old gateways are never closed", "definitions.go", "go s.api.release()", "_ = s.api", "TestChanged"},
	{"every reload makes a gateway", "definitions.go", "d.gateways.take(string(parts)+string(secrets), func()", "d.gateways.take(slog.Any(\"\", new(int)).String(), func()", "TestReloads"},
	{"an address stands for whoever has it", "definitions.go", "s != nil && s.of.Value() == p", "s != nil", "TestAddressUsedAgain"},
	{"options_passthrough passes", "document.go", "	refuse(d.optionsPassthrough, ", "	refuse(false, ", "TestRefused"},
	{"either of two ways passes", "document.go", "	refuse(d.eitherAuth, ", "	refuse(false, ", "TestRefused"},
	{"keyless answers are cached", "document.go", "refuse(d.keyless && d.cached && !allOpen(config.Routes)", "refuse(false", "TestRefused"},
	{"the client's host stays in the address", "hooks.go", "	toOriginForm(r)\n", "", "TestAddressInAbsoluteForm"},
	{"nothing is remembered", "hooks.go", "case a.remembers:", "case false:", "TestLoop"},
	{"a rewrite leads to no other API", "document.go", `"url_rewrites", `, "", "TestAlone"},
	{"a target leads to no other API", "document.go", "!passesOn(c.Proxy.TargetURL)", "true", "TestAlone"},
	{"virtual endpoints lead nowhere", "document.go", `"virtual", `, "", "TestAlone"},
	{"a path's plugin leads nowhere", "document.go", `, "go_plugin"`, "", "TestAlone"},
	{"an address in capitals leads nowhere", "document.go", "strings.ToLower(p)", "p", "TestAlone"},
	{"another plugin does nothing", "document.go", "== 1 && !passesOn(c.VersionData)", ">= 1 && !passesOn(c.VersionData)", "TestAlone"},
	{"a literal segment is no better than a parameter", "operations.go", "if next := n.literal[segment]; next != nil {", "if next := n.literal[segment]; next != nil && n.patterns == nil {", "TestOperations"},
}

// inCore are faults of the gateway's core that a test of the binding must see.
var inCore = []controltest.Control{
	{Fault: "claims are read in any case", Old: "value, ok := members[name]", New: "value, ok := members[name]; if !ok { value, ok = members[string(name[0]-32)+name[1:]] }"},
	{Fault: "another's claim takes the place", Old: "value, ok := members[name]", New: "value, ok := members[string(name[0]-32)+name[1:]]; if !ok { value, ok = members[name] }"},
}

func TestControls(t *testing.T) {
	all := controltest.Table(controls)
	for _, c := range inCore {
		c.File, c.In, c.Test = "../claims/claims.go", ".", "TestClaimsAreExact"
		all = append(all, c)
	}
	controltest.Run(t, all)
}
