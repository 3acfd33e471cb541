package controltest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// program is the tests of a package, built from sources with faults.
type program struct {
	pkg     string            // its folder
	file    string            // the program
	sources map[string]string // what stands in the place of sources, by path
	args    []string          // more flags for it
}

// patch builds a fault in, which is switched on or off.
func (p *program) patch(f fault, with patch) {
	source, found := p.sources[f.path]
	if !found {
		source = f.source
		// A file more in the fault's package, not in the sources.
		p.sources[filepath.Join(filepath.Dir(f.path), "controltest_switch.go")] = "package " + with.pkg +
			"\n\nimport \"os\"\n\nvar controltestSwitch = os.Getenv(" + fmt.Sprintf("%q", switchVariable) + ")\n"
	}
	// The function's first line is found by its text: faults of other functions may stand before it by now.
	p.sources[f.path] = strings.Replace(source, with.head, with.head+with.call, 1) + with.function
}

const switchVariable = "PHANTOMGATE_FAULT"

// build makes the program, and sees these tests pass while every fault is off.
func (p program) build(ctx context.Context, tests []string) error {
	replace := map[string]string{}
	for path, source := range p.sources {
		changed := filepath.Join(filepath.Dir(p.file), fmt.Sprintf("%d_%s", len(replace), filepath.Base(path)))
		if err := os.WriteFile(changed, []byte(source), 0o600); err != nil {
			return err
		}
		replace[path] = changed
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	overlay := filepath.Join(filepath.Dir(p.file), "overlay.json")
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", p.file, "-overlay", overlay, "-vet=off", "-ldflags=-s -w", ".")
	cmd.Dir = p.pkg
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s with the faults: %w\n%s", p.pkg, err, out)
	}
	return p.sound(ctx, tests)
}

// sound sees these tests pass: all at once, but those of which only some subtests are wanted.
func (p program) sound(ctx context.Context, tests []string) error {
	var whole []string
	slices.Sort(tests)
	tests = slices.Compact(tests)
	for _, test := range tests {
		if !strings.Contains(test, "/") {
			whole = append(whole, test)
		}
	}
	tests = slices.DeleteFunc(tests, func(test string) bool { return slices.Contains(whole, test) })
	if len(whole) > 0 {
		tests = append(tests, "("+strings.Join(whole, "|")+")")
	}
	for _, test := range tests {
		if out, err := p.run(ctx, test, ""); err != nil {
			return fmt.Errorf("the tests of %s fail without a fault: %w\n%s", p.pkg, err, out)
		}
	}
	return nil
}

// run runs tests with one fault switched on, and returns what they print and how they end.
func (p program) run(ctx context.Context, tests, fault string) (out string, ended error) {
	cmd := exec.CommandContext(ctx, p.file,
		append([]string{"-test.run", "^" + strings.ReplaceAll(tests, "/", "$/^") + "$", "-test.timeout", "300s"}, p.args...)...)
	cmd.Dir, cmd.Env = p.pkg, append(os.Environ(), switchVariable+"="+fault)
	cmd.WaitDelay = 10 * time.Second // for what the test has started and left, which holds its output open
	text, ended := cmd.CombinedOutput()
	return string(text), ended
}
