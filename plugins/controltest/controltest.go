// Package controltest puts faults into a module's own sources and sees its tests fail. A safety test that passes with the
// protection taken out protects nothing.
package controltest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Control is a fault, and the test that must see it.
type Control struct {
	Fault    string // what is wrong, in a few words
	File     string // the source it is put into, from the folder of the test that calls Run
	Old, New string // what stands there once, and what the fault makes of it
	Test     string // what must fail, as for go test's -run: a test, or one with its subtests
	In       string // the folder of Test's package; the one of File if empty
	Says     string // what the failing test prints, among other things; anything if empty
}

// Table makes controls of rows: a fault, its file, what stands there, what the fault makes of it, and the test.
func Table(rows [][5]string) (controls []Control) {
	for _, r := range rows {
		controls = append(controls, Control{Fault: r[0], File: r[1], Old: r[2], New: r[3], Test: r[4]})
	}
	return controls
}

// Run sees every control's test fail with its fault, each in a subtest. The sources stay as they are: the go command's
// overlay has the faults. Those that change one function only are built into one program for all tests of a package, where
// the environment switches one of them on; with none on, the tests must pass. Each of the others costs a build of its own;
// that its test passes without the fault is seen when it runs with its package. args are more flags for the tests' programs.
func Run(t *testing.T, controls []Control, args ...string) {
	t.Helper()
	packages := map[string][]fault{}
	for _, c := range controls {
		f, err := c.read()
		if err != nil {
			t.Errorf("%s: %v", c.Fault, err)
			continue
		}
		packages[f.pkg] = append(packages[f.pkg], f)
	}
	for _, pkg := range slices.Sorted(maps.Keys(packages)) {
		rememberSources(t, pkg)
		runPackage(t, packages[pkg], program{pkg: pkg, args: args})
	}
}

// runPackage runs the controls of one package; sound is its program without a fault.
func runPackage(t *testing.T, faults []fault, sound program) {
	t.Helper()
	shared := sound
	shared.file, shared.sources = filepath.Join(t.TempDir(), "shared.test"), map[string]string{}
	var tests []string
	for i, f := range faults {
		if patch, ok := f.asFunction(switchOf(i)); ok {
			shared.patch(f, patch)
			faults[i].switched = true
			tests = append(tests, f.Test)
		}
	}
	build := sync.OnceValue(func() error { return shared.build(t.Context(), tests) })
	for i, f := range faults {
		t.Run(f.Fault, func(t *testing.T) {
			t.Parallel()
			p, ready := shared, build
			if !f.switched { // it has the fault alone, and for good
				p = sound
				p.file, p.sources = filepath.Join(t.TempDir(), "own.test"), map[string]string{f.path: f.faulty}
				ready = func() error { return p.build(t.Context(), nil) }
			}
			if err := ready(); err != nil {
				t.Fatal(err)
			}
			if err := f.seen(p.run(t.Context(), f.Test, switchOf(i))); err != nil {
				t.Error(err)
			}
		})
	}
}

// fault is a control with the sources that it is about.
type fault struct {
	Control
	path           string // of the source
	source, faulty string
	pkg            string // the folder of the test's package
	switched       bool   // it is built into the package's shared program
}

func (c Control) read() (f fault, err error) {
	f.Control = c
	if f.path, err = filepath.Abs(c.File); err != nil {
		return f, err
	}
	f.pkg = filepath.Dir(f.path)
	if c.In != "" {
		if f.pkg, err = filepath.Abs(c.In); err != nil {
			return f, err
		}
	}
	source, err := os.ReadFile(f.path)
	if err != nil {
		return f, err
	}
	f.source = string(source)
	if n := strings.Count(f.source, c.Old); n != 1 {
		return f, fmt.Errorf("%q stands in %s %d times; a control needs it once", c.Old, c.File, n)
	}
	f.faulty = strings.Replace(f.source, c.Old, c.New, 1)
	return f, nil
}

// seen returns an error unless the test has seen the fault, by what it printed and how it ended.
func (f fault) seen(out string, ended error) error {
	var exit *exec.ExitError
	if errors.As(ended, &exit) && exit.ExitCode() == 1 && strings.Contains(out, "--- FAIL: "+f.topTest()+" ") && strings.Contains(out, f.Says) {
		return nil
	}
	return fmt.Errorf("%s did not fail, saying %q: it ended with %v\n%s", f.Test, f.Says, ended, out)
}

// topTest is the test without its subtests.
func (f fault) topTest() string {
	name, _, _ := strings.Cut(f.Test, "/")
	return name
}

func switchOf(i int) string { return fmt.Sprint("fault", i) }

// rememberSources looks at what the tests are built from: the go command repeats this test's last result unless a file that
// the test itself has looked at is another.
func rememberSources(t *testing.T, pkg string) {
	t.Helper()
	for _, pattern := range []string{"*.go", "../*/*.go"} {
		files, err := filepath.Glob(filepath.Join(pkg, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if _, err := os.Stat(file); err != nil {
				t.Fatal(err)
			}
		}
	}
}
