package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"
)

// Figure is one line of the result.
type Figure struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Goal  string  `json:"goal"` // such as ">= 0.7"; "none" when nothing is asked of it
	Holds bool    `json:"holds"`

	low, high float64 // see spread; both 0 where there were no rounds
	about     string
}

const noGoal = "none"

// atLeast makes a figure that must not be below goal.
func atLeast(goal float64, name, unit string, s spread, about string) Figure {
	f := informative(name, unit, s, about)
	f.Goal, f.Holds = fmt.Sprintf(">= %g", goal), s.median >= goal
	return f
}

// atMost makes a figure that must not be above goal.
func atMost(goal float64, name, unit string, s spread, about string) Figure {
	f := informative(name, unit, s, about)
	f.Goal, f.Holds = fmt.Sprintf("<= %g", goal), s.median <= goal
	return f
}

// informative makes a figure of which nothing is asked.
func informative(name, unit string, s spread, about string) Figure {
	return Figure{Name: name, Value: s.median, Unit: unit, Goal: noGoal, Holds: true, low: s.low, high: s.high, about: about}
}

// spread is the median of the rounds, and the quartiles: half of the rounds lie between low and high.
type spread struct{ median, low, high float64 }

func spreadOf(values []float64) spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[n/4], sorted[(n-1)-n/4]}
}

func printTable(out io.Writer, figures []Figure) {
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "figure\tmedian\tmiddle half\tunit\tgoal\t\twhat")
	for _, f := range figures {
		between, verdict := "", ""
		if f.low != 0 || f.high != 0 {
			between = fmt.Sprintf("%.4g–%.4g", f.low, f.high)
		}
		switch {
		case !f.Holds:
			verdict = "MISSED"
		case f.Goal != noGoal:
			verdict = "holds"
		}
		fmt.Fprintf(w, "%s\t%.4g\t%s\t%s\t%s\t%s\t%s\n", f.Name, f.Value, between, f.Unit, f.Goal, verdict, f.about)
	}
	_ = w.Flush() // a terminal that has gone away is no fault of ours
}

func writeJSON(path string, figures []Figure) error {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // the goals have a > in them
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(figures); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, body.Bytes(), 0o644)
}
