package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A control is a fault put into the binding, and the test that must see it.
type control struct {
	fault    string
	file     string
	old, new string // what stands there once, and what the fault makes of it
	failing  string
}

var controls = []control{
	{"a panic gets through", "hooks.go", "policy.ServerError().Write(w)\n\t\t}\n\t}()", "}\n\t}()", "TestPanicRefuses"},
	{"a refused definition lets pass", "hooks.go", "if a.faults != nil {", "if false {", "TestRefusedAnswers"},
	{"a loop keeps the first API's token", "hooks.go", "	restore(r.Header, \"Authorization\", p.credential.authorization)\n", "", "TestLoop"},
	{"new cookies may be kept by caches", "hooks.go", `w.Header()["Set-Cookie"] != nil`, "false", "TestSuite/auth_check/cookies/.*"},
	{"no token after strip_auth_data", "hooks.go", `		r.Header["Authorization"] = p.phantomToken
`, "", "TestSuite/strip_auth_data/token/.*"},
	{"the first API's definition stays", "tyk.go", "	case ctx.Definition, ctx.OASDefinition:\n		return nil\n", "", "TestLoopIsJudgedAnew"},
	{"two definitions pass", "tyk.go", "classic != nil && openAPI != nil {", "false {", "TestTwoDefinitions"},
	{"post lets pass what nobody has seen", "hooks.go", "if p == nil || p.api != a {", "if false {", "TestAFileThatSaysKeyless"},
	{"a KeyID can be foreseen", "sessions.go", "hmac.New(sha256.New, s.key)", "hmac.New(sha256.New, nil)", "TestKeyIDIsNotForeseen"},
	{"another way to authenticate passes", "document.go", "refuse(!d.keyless && d.otherAuth,", "refuse(false,", "TestRefused"},
	{"an operation without a name is none", "document.go", "op.ID = cmp.Or(op.ID, nameless)", "if op.ID = cmp.Or(op.ID, nameless); op.ID == nameless { continue }", "TestOperationRoutes"},
	{"outside the listen path a weaker rule does", "hooks.go", "case !found: // below", "case false && found: // below", "TestOperationRoutes"},
	{"a changed secret is not seen", "definitions.go", "d.gateways.take(string(parts)+string(secrets)", "d.gateways.take(string(parts)", "TestRotatedSecret"},
	{"one KeyID for all users of a client", "sessions.go", "s.keyID(client, claims.Subject)", "s.keyID(client, client)", "TestSessions"},
	{"KeyIDs run into each other", "sessions.go", "		h.Write(size[:])\n", "", "TestSessions"},
	{"one KeyID for two tenants", "sessions.go", "[]string{s.issuer, s.tenant}", "[]string{s.issuer}", "TestKeyIDTenants"},
	{"a token without a user gets a session", "sessions.go", `if claims.Subject == "" {`, "if false {", "TestNoUserNoSession"},
	{"sessions are written to Redis", "tyk.go", "ctx.SetSession(r, s, false)", "ctx.SetSession(r, s, true)", "TestSessions"},
	{"old gateways are never closed", "definitions.go", "go s.api.release()", "_ = s.api", "TestChanged"},
	{"every reload makes a gateway", "definitions.go", "d.gateways.take(string(parts)+string(secrets), func()", "d.gateways.take(moment(), func()", "TestReloads"},
	{"an address stands for whoever has it", "definitions.go", "s != nil && s.of.Value() == p", "s != nil", "TestAddressUsedAgain"},
	{"options_passthrough passes", "document.go", "	refuse(d.optionsPassthrough, ", "	refuse(false, ", "TestRefused"},
	{"either of two ways passes", "document.go", "	refuse(d.eitherAuth, ", "	refuse(false, ", "TestRefused"},
	{"keyless answers are cached", "document.go", "refuse(d.keyless && d.cached && !allOpen(config.Routes)", "refuse(false", "TestRefused"},
	{"a literal segment is no better than a parameter", "operations.go", "if next := n.literal[segment]; next != nil {", "if next := n.literal[segment]; next != nil && n.patterns == nil {", "TestOperations"},
}

func TestControls(t *testing.T) {
	for _, c := range controls {
		t.Run(c.fault, func(t *testing.T) {
			t.Parallel()
			source, err := os.ReadFile(c.file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), c.old); n != 1 {
				t.Fatalf("%q stands in %s %d times; a control needs it once", c.old, c.file, n)
			}
			faulty := strings.Replace(string(source), c.old, c.new, 1)
			if strings.Contains(c.new, "moment()") {
				faulty += "\nfunc moment() string { return time.Now().String() }\n"
				faulty = strings.Replace(faulty, "import (", "import (\n\t\"time\"", 1)
			}
			dir := t.TempDir()
			original, err := filepath.Abs(c.file)
			if err != nil {
				t.Fatal(err)
			}
			overlay := text(t, map[string]any{"Replace": map[string]string{original: filepath.Join(dir, "faulty.go")}})
			for name, content := range map[string][]byte{"faulty.go": []byte(faulty), "overlay.json": overlay} {
				if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			run := strings.Split(c.failing, "/")
			cmd := exec.Command("go", "test", "-overlay", filepath.Join(dir, "overlay.json"), "-vet=off", "-ldflags=-s -w", "-timeout=120s",
				"-run", "^"+strings.Join(run, "$/^")+"$", ".")
			if out, _ := cmd.CombinedOutput(); !strings.Contains(string(out), "--- FAIL: "+run[0]) { // the exit status says less
				t.Errorf("%s did not fail:\n%s", c.failing, out)
			}
		})
	}
}
