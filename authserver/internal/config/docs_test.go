package config

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
)

// TestEveryKeyIsDocumented: the README sends operators to config.go for the meaning of every key.
func TestEveryKeyIsDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if field, ok := n.(*ast.Field); ok && field.Tag != nil && !strings.Contains(field.Tag.Value, `"-"`) {
			keys++
			if strings.TrimSpace(field.Comment.Text()) == "" {
				t.Errorf("%s has no comment", field.Tag.Value)
			}
		}
		return true
	})
	if keys < 50 {
		t.Errorf("only %d keys were found", keys)
	}
}
