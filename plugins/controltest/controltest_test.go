package controltest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// door is a package with some protections, of which its test does not know one.
const door = `package door

import "errors"

var limit = 3

type lock struct{ tries int }

// open wants the word.
func (l *lock) open(word string, more ...int) (err error) {
	if l.tries++; l.tries > limit {
		return errors.New("too often")
	}
	if word != "friend" {
		return errors.New("wrong")
	}
	return nil
}

func count(l *lock, _ int) int { return l.tries }

func reset(l *lock) { l.tries = 0 }

func guard(ask func()) (err error) {
	defer caught(&err)
	ask()
	return nil
}

func caught(err *error) {
	if recover() != nil {
		*err = errors.New("caught")
	}
}
`

const doorTest = `package door

import "testing"

func TestDoor(t *testing.T) {
	l := &lock{}
	if l.open("foe") == nil {
		t.Error("a foe is in")
	}
	for range 9 {
		_ = l.open("friend", 1, 2)
	}
	if l.open("friend") == nil {
		t.Error("tried too often")
	}
	if count(l, 0) != 11 {
		t.Error("miscounted")
	}
	if reset(l); l.open("friend") != nil {
		t.Error("not reset")
	}
	if guard(func() { panic(1) }) == nil {
		t.Error("not caught")
	}
}

func TestNothing(t *testing.T) {}
`

// written makes a module of these files, and returns its folder.
func written(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestControls(t *testing.T) {
	dir := written(t, map[string]string{"go.mod": "module door\ngo 1.26\n", "door.go": door, "door_test.go": doorTest})
	tests := map[string]struct {
		old, new, test, says string
		switched             bool
		fault                string // what the control complains of; empty: it saw the fault
	}{
		"a method":                       {`word != "friend"`, "false", "TestDoor", "a foe is in", true, ""},
		"another fault of it":            {"l.tries > limit", "false", "TestDoor", "tried too often", true, ""},
		"a function without a result":    {"l.tries = 0", "_ = l", "TestDoor", "not reset", true, ""},
		"a variable":                     {"limit = 3", "limit = 300", "TestDoor", "tried too often", false, ""},
		"a parameter without a name":     {"return l.tries", "return 0", "TestDoor", "miscounted", false, ""},
		"a function that is deferred":    {`errors.New("caught")`, "nil", "TestDoor", "not caught", false, ""},
		"a signature":                    {"func reset(l *lock) { l.tries = 0 }", "func reset(*lock) {}", "TestDoor", "", false, ""},
		"a test that sees nothing":       {`"friend" {`, `"foe" {`, "TestNothing", "", true, "TestNothing did not fail"},
		"it fails for another reason":    {`errors.New("wrong")`, "nil", "TestDoor", "tried too often", true, "saying"},
		"a test that is not there":       {`return errors.New("too often")`, "return nil", "TestDo", "", true, "TestDo did not fail"},
		"no such text":                   {"nothing", "", "TestDoor", "", false, "stands in"},
		"a text that stands there twice": {"l.tries", "", "TestDoor", "", false, "4 times"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := Control{Fault: name, File: filepath.Join(dir, "door.go"), Old: test.old, New: test.new, Test: test.test, Says: test.says}.read()
			if err == nil {
				err = judged(t, f, test.switched)
			}
			if test.fault == "" && err != nil || test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)) {
				t.Errorf("%v; want %q", err, test.fault)
			}
		})
	}
}

// judged runs a control, and wants its fault to be one that can be switched, or not.
func judged(t *testing.T, f fault, switched bool) error {
	t.Helper()
	p := program{pkg: f.pkg, file: filepath.Join(t.TempDir(), "door.test"), sources: map[string]string{f.path: f.faulty}}
	with, ok := f.asFunction("on")
	if ok != switched {
		t.Errorf("that it can be switched is %t", ok)
	}
	var tests []string
	if ok {
		p.sources, tests = map[string]string{}, []string{f.Test}
		p.patch(f, with)
	}
	if err := p.build(t.Context(), tests); err != nil {
		return err
	}
	return f.seen(p.run(t.Context(), f.Test, "on"))
}

// Tests that fail with every fault off tell nothing.
func TestFailingAnyway(t *testing.T) {
	dir := written(t, map[string]string{"go.mod": "module door\ngo 1.26\n", "door.go": door, "door_test.go": strings.Replace(doorTest, "!= 11", "!= 12", 1)})
	f, err := Control{File: filepath.Join(dir, "door.go"), Old: "l.tries = 0", New: "_ = l", Test: "TestDoor"}.read()
	if err != nil {
		t.Fatal(err)
	}
	if err := judged(t, f, true); err == nil || !strings.Contains(err.Error(), "fail without a fault") {
		t.Error(err)
	}
}

func TestRun(t *testing.T) {
	dir := written(t, map[string]string{"go.mod": "module door\ngo 1.26\n", "door.go": door, "door_test.go": doorTest})
	file := filepath.Join(dir, "door.go")
	Run(t, []Control{
		{Fault: "any word opens", File: file, Old: `word != "friend"`, New: "false", Test: "TestDoor"},
		{Fault: "it opens however often one tries", File: file, Old: "l.tries > limit", New: "false", Test: "TestDoor"},
		{Fault: "tries have no end", File: file, Old: "limit = 3", New: "limit = 300", Test: "TestDoor", In: dir},
	})
}
