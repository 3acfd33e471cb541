package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong in a file.
type Fault struct {
	File    string
	Line    int    // from 1; 0 when the fault is of the file as a whole
	Key     string // such as clients[2].redirect_uris[0]; empty when the fault is of the file as a whole
	Problem string // what is wrong; never a secret
	Fix     string // what to do about it
}

// String gives `file:line: key: what is wrong; the fix`.
func (f Fault) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	b.WriteString(": ")
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	b.WriteString(f.Problem + "; " + f.Fix)
	return b.String()
}

// Faults are all the faults of one file, in the order of its lines. It is the one error type of Load and Parse.
type Faults []Fault

// Error gives one fault a line.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

func (f Faults) sorted() Faults {
	slices.SortStableFunc(f, func(a, b Fault) int { return cmp.Compare(a.Line, b.Line) })
	return f
}

// shown makes a value of the file safe to repeat in a fault.
func shown(s string) string {
	if len(s) > 60 {
		s = s[:60] + "…"
	}
	return fmt.Sprintf("%q", s)
}
