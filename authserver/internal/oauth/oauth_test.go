package oauth_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/internal/oauth"
)

func TestSplitScope(t *testing.T) {
	var many []string
	for i := range 501 {
		many = append(many, fmt.Sprint("s", i))
	}
	for name, c := range map[string]struct {
		parameter string
		want      []string
		refused   bool
	}{
		"none":              {"", nil, false},
		"spaces":            {"  ", nil, false},
		"some":              {"b a c", []string{"b", "a", "c"}, false},
		"spaces and twice":  {" a  b a ", []string{"a", "b"}, false},
		"one many times":    {strings.Repeat("a ", 10_000), []string{"a"}, false},
		"as many as may be": {strings.Join(many[:500], " "), many[:500], false},
		"too many":          {strings.Join(many, " "), nil, true},
		"a quote":           {`a "b"`, nil, true},
		"a backslash":       {`a\b`, nil, true},
		"a tab":             {"a\tb", nil, true},
		"beyond ASCII":      {"é", nil, true},
	} {
		got, err := oauth.SplitScope(c.parameter)
		if !slices.Equal(got, c.want) || c.refused != oauth.IsCode(err, oauth.InvalidScope) {
			t.Errorf("%s: %d scopes, %v", name, len(got), err)
		}
	}
}
