package rules

import (
	"maps"
	"os"
	"path"
	"strings"
	"testing"
	"testing/fstest"
)

func TestTheRepositoryKeepsItsRules(t *testing.T) {
	tree, err := Load(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	for _, rule := range All() {
		t.Run(rule.Name, func(t *testing.T) {
			for _, breach := range rule.Breaches(tree) {
				t.Errorf("%s\n\twhy this is a rule: %s", breach, rule.Why)
			}
		})
	}
}

// clean is a small repository that keeps every rule.
func clean() map[string]string {
	return map[string]string{
		"Makefile":        "MODULES := . plugins apiguard testbed\n",
		"go.mod":          "module " + root + "\n",
		"plugins/go.mod":  "module " + root + "/plugins\nrequire (\n" + strings.Join(pluginFloor, "\n") + "\ngolang.org/x/time v0.9.0 // indirect\n)\n",
		"apiguard/go.mod": "module " + root + "/apiguard\nrequire (\n" + strings.Join(apiguardFloor, "\n") + "\n)\n",
		"testbed/go.mod":  "module " + root + "/testbed\nreplace " + root + "/plugins => ../plugins\n",

		"apiguard/a.go":                             "// Package apiguard checks.\npackage apiguard\nimport \"errors\"\nvar errNone = errors.New(\"none\")\n",
		"plugins/gateway/a.go":                      "// Package gateway walks.\npackage gateway\nimport _ \"" + root + "/plugins/policy\"\n",
		"plugins/gateway/a_test.go":                 "package gateway\nimport _ \"" + root + "/plugins/plugintest\"\nvar seen int\n",
		"plugins/plugintest/a.go":                   "// Package plugintest is a suite.\npackage plugintest\nimport _ \"" + root + "/plugins/gateway\"\nvar client = &struct{}{}\n",
		"plugins/policy/a.go":                       "// Package policy decides.\npackage policy\nvar table = []string{\"a\"}\n",
		"authserver/a.go":                           "// Package authserver is the issuer.\npackage authserver\nimport _ \"" + root + "/authserver/internal/server\"\n",
		"authserver/cmd/x/main.go":                  "// Command x runs.\npackage main\nfunc main() {}\n",
		"authserver/internal/server/a.go":           "// Package server wires.\npackage server\nimport _ \"" + root + "/authserver/internal/tokens\"\n",
		"authserver/internal/tokens/a.go":           "// Package tokens mints.\npackage tokens\nimport _ \"" + root + "/authserver/internal/oauth\"\n",
		"authserver/internal/oauth/a.go":            "// Package oauth has words.\npackage oauth\n",
		"authserver/internal/storage/a.go":          "// Package storage has rows.\npackage storage\n",
		"authserver/internal/storage/sqlite/a.go":   "// Package sqlite stores.\npackage sqlite\nimport (\n_ \"database/sql\"\n\"embed\"\n)\n//go:embed *.sql\nvar files embed.FS\n",
		"authserver/internal/storage/sqlite/t/a.go": "//go:build fault_x\n\n// Package t is tagged.\npackage t\n",
		"authserver/internal/web/testdata/bad.go":   "package nothing_looks_here\nimport _ \"" + root + "/plugins\"\n",
	}
}

func load(t *testing.T, files map[string]string) *Tree {
	t.Helper()
	repo := fstest.MapFS{}
	for name, content := range files {
		repo[name] = &fstest.MapFile{Data: []byte(content)}
	}
	tree, err := Load(repo)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

func TestACleanRepositoryHasNoBreach(t *testing.T) {
	tree := load(t, clean())
	for _, rule := range All() {
		if got := rule.Breaches(tree); len(got) != 0 {
			t.Errorf("%s: %q", rule.Name, got)
		}
	}
}

// TestEveryRuleIsSeenFailing puts one fault at a time into the clean repository, and wants its rule, and no other, to
// report its place.
func TestEveryRuleIsSeenFailing(t *testing.T) {
	imports := func(pkg, p string) string { return "package " + pkg + "\nimport _ \"" + p + "\"\n" }
	without := func(name, line string) string { return strings.Replace(clean()[name], line+"\n", "", 1) }
	faults := []struct{ rule, file, content string }{
		{"no-workspace", "go.work", "go 1.26\n"},
		{"no-workspace", "plugins/go.work", "go 1.26\n"},
		{"known-modules", "plugins/tyk/go.mod", "module " + root + "/plugins/tyk\n"},
		{"known-modules", "Makefile", "MODULES := . plugins apiguard testbed gone\n"},
		{"known-modules", "Makefile", "all:\n"},
		{"known-modules", "testbed/go.mod", "module example.com/testbed\n"},
		{"replace-inside", "go.mod", "module " + root + "\nreplace example.com/x => ../x\n"},
		{"replace-inside", "go.mod", "module " + root + "\nreplace example.com/x => /home/me/x\n"},
		{"replace-inside", "go.mod", "module " + root + "\nreplace example.com/x => example.com/fork v1.0.0\n"},
		{"plugin-requirements", "plugins/go.mod", clean()["plugins/go.mod"] + "require example.com/x v1.0.0\n"},
		{"plugin-requirements", "plugins/go.mod", strings.Replace(clean()["plugins/go.mod"], "jwt/v5 v5.2.2", "jwt/v5 v5.3.0", 1)},
		{"plugin-requirements", "plugins/go.mod", strings.Replace(clean()["plugins/go.mod"], "time v0.9.0", "time v0.10.0", 1)},
		{"plugin-requirements", "plugins/go.mod", without("plugins/go.mod", pluginFloor[1])},
		{"apiguard-requirements", "apiguard/go.mod", clean()["apiguard/go.mod"] + "require example.com/x v1.0.0\n"},
		{"meet-on-the-wire", "plugins/gateway/b.go", imports("gateway", root+"/authserver")},
		{"meet-on-the-wire", "plugins/gateway/b.go", "//go:build never\n\n" + imports("gateway", root+"/authserver/internal/oauth")},
		{"meet-on-the-wire", "authserver/b.go", imports("authserver", root+"/plugins/policy")},
		{"meet-on-the-wire", "authserver/internal/server/b.go", imports("server", root+"/apiguard")},
		{"meet-on-the-wire", "apiguard/b_test.go", imports("apiguard", root+"/authserver/authservertest")},
		{"one-way", "authserver/internal/tokens/b.go", imports("tokens", root+"/authserver/internal/server/wire")},
		{"one-way", "authserver/internal/tokens/b.go", imports("tokens", root+"/authserver/internal/web/login")},
		{"one-way", "authserver/internal/server/b.go", imports("server", root+"/authserver")},
		{"one-way", "authserver/internal/oauth/b.go", imports("oauth", root+"/authserver/internal/tokens")},
		{"one-way", "authserver/internal/storage/sqlite/b.go", imports("sqlite", root+"/authserver/internal/tokens")},
		{"one-way", "plugins/policy/b.go", imports("policy", root+"/plugins/gateway")},
		{"one-way", "plugins/gateway/b.go", imports("gateway", root+"/plugins/caddy")},
		{"drivers-in-storage", "authserver/internal/tokens/b.go", imports("tokens", "database/sql")},
		{"drivers-in-storage", "authserver/internal/storage/b.go", imports("storage", "modernc.org/sqlite/lib")},
		{"test-support", "plugins/gateway/b.go", imports("gateway", root+"/plugins/plugintest")},
		{"meet-on-the-wire", "plugins/plugintest/b.go", imports("plugintest", root+"/authserver")},
		{"package-comment", "plugins/feed/a.go", "package feed\n"},
		{"package-comment", "plugins/feed/a.go", "// feed is a package.\npackage feed\n"},
		{"package-comment", "testbed/cmd/y/main.go", "// Command y: not joined.\n\npackage main\n"},
		{"no-package-state", "plugins/policy/b.go", "package policy\nvar count int\n"},
		{"no-package-state", "plugins/policy/b.go", "package policy\nvar cache = map[string]int(make(map[string]int))\nvar other = make(map[string]int)\n"},
		{"no-package-state", "plugins/policy/b.go", "package policy\nimport \"net/http\"\nvar client = &http.Client{}\n"},
		{"no-package-state", "plugins/policy/b.go", "package policy\nimport \"sync\"\nvar mu = sync.Mutex{}\n"},
		{"no-init", "plugins/policy/b.go", "package policy\nfunc init() {}\n"},
	}
	tried := map[string]bool{}
	for _, fault := range faults {
		tried[fault.rule] = true
		files := maps.Clone(clean())
		files[fault.file] = fault.content
		tree := load(t, files)
		for _, rule := range All() {
			got := rule.Breaches(tree)
			switch {
			case rule.Name != fault.rule && len(got) != 0:
				t.Errorf("%s in %s: %s reports it too: %q", fault.rule, fault.file, rule.Name, got)
			case rule.Name == fault.rule && (len(got) == 0 || !strings.HasPrefix(got[0], place(fault.file))):
				t.Errorf("%s in %s:\n%s\nreported: %q", fault.rule, fault.file, fault.content, got)
			}
		}
	}
	for _, rule := range All() {
		if !tried[rule.Name] {
			t.Errorf("%s has no fault that shows it failing", rule.Name)
		}
	}
}

// place is how a breach in this file begins: with its directory, or with the file itself at the top.
func place(file string) string {
	if dir := path.Dir(file); dir != "." {
		return dir
	}
	return file
}

func TestLoadWantsARepository(t *testing.T) {
	if _, err := Load(fstest.MapFS{}); err == nil {
		t.Error("an empty directory was taken for the repository")
	}
	if _, err := Load(fstest.MapFS{"go.mod": {Data: []byte("module x\n")}, "a.go": {Data: []byte("pack")}}); err == nil {
		t.Error("a file that does not parse was passed over")
	}
}
