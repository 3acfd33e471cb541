package plugintest

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

// TestCasesOfOthers holds the table of docs/gateway-suite.md to the suite: all 25, in their order, each with cases that
// there are.
func TestCasesOfOthers(t *testing.T) {
	page, err := os.ReadFile("../../docs/gateway-suite.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile(`(?m)^\| (\d+) \|.*\| (.+) \|$`).FindAllStringSubmatch(string(page), -1)
	if len(rows) != 25 {
		t.Errorf("%d rows; want 25", len(rows))
	}
	for i, row := range rows {
		if row[1] != strconv.Itoa(i+1) {
			t.Errorf("row %d has the number %s", i+1, row[1])
		}
		names := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[2], -1)
		if len(names) == 0 {
			t.Errorf("%s has no case", row[1])
		}
		for _, name := range names {
			if len(matching(name[1])) == 0 {
				t.Errorf("%s: there is no case %q", row[1], name[1])
			}
		}
	}
}
