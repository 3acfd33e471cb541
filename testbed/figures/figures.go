// Package figures is the one form of what is measured: a table for people, and a list in JSON for machines, with the goal of each
// figure and whether it holds.
package figures

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

	low, high float64 // see Spread; both 0 where there were no rounds
	about     string
}

// NoGoal is the goal of a figure of which nothing is asked.
const NoGoal = "none"

// AtLeast makes a figure that must not be below goal.
func AtLeast(goal float64, name, unit string, s Spread, about string) Figure {
	f := Informative(name, unit, s, about)
	f.Goal, f.Holds = fmt.Sprintf(">= %g", goal), s.Median >= goal
	return f
}

// AtMost makes a figure that must not be above goal.
func AtMost(goal float64, name, unit string, s Spread, about string) Figure {
	f := Informative(name, unit, s, about)
	f.Goal, f.Holds = fmt.Sprintf("<= %g", goal), s.Median <= goal
	return f
}

// Informative makes a figure of which nothing is asked.
func Informative(name, unit string, s Spread, about string) Figure {
	return Figure{Name: name, Value: s.Median, Unit: unit, Goal: NoGoal, Holds: true, low: s.Low, high: s.High, about: about}
}

// Spread is the median of the rounds, and the quartiles: half of the rounds lie between low and high.
type Spread struct{ Median, Low, High float64 }

// SpreadOf gives the spread of some values, one at least.
func SpreadOf(values []float64) Spread {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return Spread{(sorted[(n-1)/2] + sorted[n/2]) / 2, sorted[n/4], sorted[(n-1)-n/4]}
}

// PrintTable writes the figures for people.
func PrintTable(out io.Writer, figures []Figure) {
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
		case f.Goal != NoGoal:
			verdict = "holds"
		}
		fmt.Fprintf(w, "%s\t%.4g\t%s\t%s\t%s\t%s\t%s\n", f.Name, f.Value, between, f.Unit, f.Goal, verdict, f.about)
	}
	_ = w.Flush() // a terminal that has gone away is no fault of ours
}

// WriteJSON writes the figures for machines, and makes the folder of path if it is missing.
func WriteJSON(path string, figures []Figure) error {
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
