package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
)

// packageComment asks for "// Package name …" ("// Command …" for a program) in each directory with Go files.
func packageComment(t *Tree) []string {
	has := map[string]bool{}
	for _, f := range t.Files {
		doc := ""
		if f.Ast.Doc != nil {
			doc = f.Ast.Doc.Text()
		}
		name := f.Ast.Name.Name
		good := strings.HasPrefix(doc, "Package "+name+" ") || name == "main" && strings.HasPrefix(doc, "Command ")
		has[f.Dir()] = has[f.Dir()] || good
	}
	var breaches []string
	for _, dir := range sortedKeys(has) {
		if !has[dir] {
			breaches = append(breaches, dir+": no comment says what the package is for")
		}
	}
	return breaches
}

// noPackageState finds package-level variables that are there to change: those without a value, and those that begin as
// something to be filled, locked or pointed at. Errors, tables and compiled expressions, which are variables only since
// Go has no constants of their kind, pass. It does not see every way to change a table.
func noPackageState(t *Tree) []string {
	var breaches []string
	for _, f := range t.Files {
		if f.Test || f.Support {
			continue
		}
		for _, decl := range f.Ast.Decls {
			gen, ok := decl.(*ast.GenDecl)
			if !ok || gen.Tok != token.VAR {
				continue
			}
			for _, spec := range gen.Specs {
				value := spec.(*ast.ValueSpec) // all that a var declaration holds
				if value.Names[0].Name != "_" && !isEmbed(gen, value) && isState(value) {
					breaches = append(breaches, fmt.Sprintf("%s: the variable %s", f.Path, value.Names[0].Name))
				}
			}
		}
	}
	return breaches
}

func isEmbed(gen *ast.GenDecl, spec *ast.ValueSpec) bool {
	for _, group := range []*ast.CommentGroup{gen.Doc, spec.Doc} {
		if group == nil {
			continue
		}
		for _, c := range group.List {
			if strings.HasPrefix(c.Text, "//go:embed ") {
				return true
			}
		}
	}
	return false
}

func isState(spec *ast.ValueSpec) bool {
	if len(spec.Values) == 0 {
		return true
	}
	for _, value := range spec.Values {
		switch v := value.(type) {
		case *ast.UnaryExpr: // &something
			return v.Op == token.AND
		case *ast.CallExpr:
			if name, ok := v.Fun.(*ast.Ident); ok && (name.Name == "make" || name.Name == "new") {
				return true
			}
		case *ast.CompositeLit:
			if typ, ok := v.Type.(*ast.SelectorExpr); ok {
				pkg, ok := typ.X.(*ast.Ident)
				return ok && (pkg.Name == "sync" || pkg.Name == "atomic")
			}
		}
	}
	return false
}

func noInit(t *Tree) []string {
	var breaches []string
	for _, f := range t.Files {
		if f.Test || under(f.Path, "plugins/caddy") {
			continue
		}
		for _, decl := range f.Ast.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				breaches = append(breaches, f.Path+": func init")
			}
		}
	}
	return breaches
}
