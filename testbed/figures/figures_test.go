package figures

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestFiguresAreWritten(t *testing.T) {
	s := Spread{Median: 0.6, Low: 0.5, High: 0.9}
	all := []Figure{
		AtLeast(0.7, "a", "x", s, "too little"), AtLeast(0.6, "b", "x", s, "just enough"),
		AtMost(0.5, "c", "x", s, "too much"), Informative("d", "µs", s, "whatever it is"),
	}
	path := filepath.Join(t.TempDir(), "build", "json")
	if err := WriteJSON(path, all); err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const want = `[
  {
    "name": "a",
    "value": 0.6,
    "unit": "x",
    "goal": ">= 0.7",
    "holds": false
  },`
	if !strings.HasPrefix(string(body), want) {
		t.Errorf("%s\nwant it to begin with\n%s", body, want)
	}
	var read []Figure
	if err := json.Unmarshal(body, &read); err != nil {
		t.Fatal(err)
	}
	var holds []bool
	for _, f := range read {
		holds = append(holds, f.Holds)
	}
	if !slices.Equal(holds, []bool{false, true, false, true}) {
		t.Errorf("holds: %v", holds)
	}
	var table strings.Builder
	PrintTable(&table, all)
	if strings.Count(table.String(), "MISSED") != 2 || strings.Count(table.String(), "holds") != 1 {
		t.Error(table.String())
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Spread
	}{
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{2, 1}, Spread{1.5, 1, 2}},
		{[]float64{9, 1, 5, 3, 7}, Spread{5, 3, 7}},
		{[]float64{1, 2, 3, 4, 5, 6, 7, 8, 100}, Spread{5, 3, 7}},
	} {
		if got := SpreadOf(c.values); got != c.want {
			t.Errorf("%v: %v, want %v", c.values, got, c.want)
		}
	}
}
