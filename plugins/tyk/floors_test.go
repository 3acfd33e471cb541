package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// oldest are the versions that the module may require at most: of each package that plugin and gateway share, the lowest that
// any supported gateway has (v5.8 LTS, v5.12, v5.14). A plugin with a newer one is refused when it is loaded. Those that no
// gateway has are free, and stand here in the version that asks for no more than the others.
var oldest = map[string]string{
	"github.com/sirupsen/logrus":       "v1.9.3",
	"github.com/golang-jwt/jwt/v5":     "v5.2.2",
	"golang.org/x/time":                "v0.9.0",
	"golang.org/x/sys":                 "v0.0.0-20220715151400-c0bba94af5f8", // what logrus asks for; gateways have v0.42.0 and later
	"github.com/MicahParks/keyfunc/v3": "v3.8.0",
	"github.com/MicahParks/jwkset":     "v0.11.0",
	"github.com/allegro/bigcache/v3":   "v3.1.0",
}

// ours are what the workspace, or the stage, puts in place.
var ours = []string{"github.com/TykTechnologies/tyk", "github.com/phantomgate/phantomgate/plugins"}

const oldestGo = "1.25.0"

type module struct {
	Go      string
	Require []struct{ Path, Version string }
	Replace []struct{ Old, New struct{ Path string } }
}

func TestFloors(t *testing.T) {
	m := readModule(t, "go.mod")
	for _, problem := range judgeModule(m) {
		t.Error(problem)
	}
	for _, r := range m.Replace {
		if r.Old.Path == "github.com/TykTechnologies/tyk" {
			t.Error("the shipped go.mod replaces Tyk's module: the contract would be built into the plugin")
		}
	}
}

func judgeModule(m module) (problems []string) {
	if m.Go != oldestGo {
		problems = append(problems, "go "+m.Go+": the oldest supported gateway is built with "+oldestGo)
	}
	for _, r := range m.Require {
		if !slices.Contains(ours, r.Path) && oldest[r.Path] != r.Version {
			problems = append(problems, r.Path+" "+r.Version+": not what the oldest supported gateway has")
		}
	}
	return problems
}

func TestFloorsControl(t *testing.T) {
	for name, change := range map[string]func(m *module){
		"a newer Go":     func(m *module) { m.Go = "1.26.0" },
		"a newer logrus": func(m *module) { m.Require[slices.IndexFunc(m.Require, isLogrus)].Version = "v1.9.4" },
		"one more": func(m *module) {
			m.Require = append(m.Require, struct{ Path, Version string }{"golang.org/x/sync", "v0.20.0"})
		},
	} {
		m := readModule(t, "go.mod")
		change(&m)
		if judgeModule(m) == nil {
			t.Errorf("%s passed", name)
		}
	}
}

func isLogrus(r struct{ Path, Version string }) bool { return strings.HasSuffix(r.Path, "/logrus") }

// TestContractModule: the contract's go.mod differs from the shipped one by the replacement alone, so what CI compiles is what
// is shipped.
func TestContractModule(t *testing.T) {
	shipped, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	contract, err := os.ReadFile("testdata/contract.mod")
	if err != nil {
		t.Fatal(err)
	}
	without := regexp.MustCompile(`(?m)^\n?replace github.com/TykTechnologies/tyk => .*\n`).ReplaceAll(contract, nil)
	if string(without) != string(shipped) {
		t.Errorf("testdata/contract.mod and go.mod differ by more than the replacement of Tyk:\n%s\n%s", shipped, without)
	}
}

// TestStage: the compiler image sees one folder, in which everything is found.
func TestStage(t *testing.T) {
	dir := t.TempDir() + "/plugin"
	if out, err := exec.Command("./stage", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m := readModule(t, dir+"/go.mod")
	for _, r := range m.Require {
		if r.Path == "github.com/TykTechnologies/tyk" {
			t.Error("the stage asks a proxy for Tyk's module")
		}
	}
	if len(m.Replace) != 1 || m.Replace[0].New.Path != "./core" {
		t.Errorf("replacements: %v; want the core's, inside of the folder", m.Replace)
	}
	// It compiles, against the contract in place of the gateway's source.
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	for _, args := range [][]string{
		{"work", "init", dir, here + "/testdata/contract"},
		{"vet", dir},
	} {
		cmd := exec.Command("go", args...)
		cmd.Dir = work
		cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK="+work+"/go.work")
		if args[0] == "vet" {
			cmd.Dir = dir
			cmd.Args[2] = "."
		}
		if args[1] == "init" {
			cmd.Env = append(cmd.Env, "GOWORK=")
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", cmd.Args, err, out)
		}
	}
}

func readModule(t *testing.T, file string) (m module) {
	t.Helper()
	cmd := exec.Command("go", "mod", "edit", "-json", file)
	cmd.Env = append(os.Environ(), "GOFLAGS=")
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out, &m); err != nil {
		t.Fatal(err)
	}
	return m
}
