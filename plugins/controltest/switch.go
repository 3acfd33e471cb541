package controltest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
)

// patch is a fault as a function of its own, which the sound function calls while the fault is switched on.
type patch struct {
	pkg      string // the package's name
	head     string // the sound function's text up to its body, which stands in the source once
	call     string // what is put at the body's beginning
	function string // the faulty function
}

// asFunction makes a fault a function of its own. It reports false for faults that are not within one function, and for
// functions that cannot pass their arguments on.
func (f fault) asFunction(name string) (patch, bool) {
	sound, faulty := parsed(f.source), parsed(f.faulty)
	if sound.file == nil || faulty.file == nil || len(sound.file.Decls) != len(faulty.file.Decls) {
		return patch{}, false
	}
	changed := -1
	for i := range sound.file.Decls {
		if sound.text(sound.file.Decls[i]) == faulty.text(faulty.file.Decls[i]) {
			continue
		}
		if changed >= 0 {
			return patch{}, false
		}
		changed = i
	}
	if changed < 0 {
		return patch{}, false
	}
	was, isFunc := sound.file.Decls[changed].(*ast.FuncDecl)
	is, stillFunc := faulty.file.Decls[changed].(*ast.FuncDecl)
	if !isFunc || !stillFunc || was.Body == nil || is.Body == nil {
		return patch{}, false
	}
	head := sound.between(was.Pos(), was.Body.Lbrace+1)
	arguments, ok := passedOn(was)
	if !ok || head != faulty.between(is.Pos(), is.Body.Lbrace+1) || strings.Count(f.source, head) != 1 {
		return patch{}, false
	}
	call := was.Name.Name + "_" + name + "(" + arguments + ")"
	if was.Recv != nil {
		call = was.Recv.List[0].Names[0].Name + "." + call
	}
	if was.Type.Results == nil {
		call += "; return"
	} else {
		call = "return " + call
	}
	return patch{
		pkg:  sound.file.Name.Name,
		head: head,
		call: " if controltestSwitch == \"" + name + "\" { " + call + " };",
		function: "\n" + faulty.between(is.Pos(), is.Name.End()) + "_" + name +
			faulty.between(is.Name.End(), is.End()) + "\n",
	}, true
}

// passedOn gives a function's parameters as the arguments of a call with the same ones.
func passedOn(f *ast.FuncDecl) (arguments string, ok bool) {
	if f.Recv == nil && (f.Name.Name == "init" || f.Name.Name == "main") || f.Type.TypeParams != nil || recovers(f) {
		return "", false
	}
	if f.Recv != nil && !named(f.Recv.List) || !named(f.Type.Params.List) {
		return "", false
	}
	var names []string
	for _, field := range f.Type.Params.List {
		for _, n := range field.Names {
			if _, variadic := field.Type.(*ast.Ellipsis); variadic {
				names = append(names, n.Name+"...")
			} else {
				names = append(names, n.Name)
			}
		}
	}
	return strings.Join(names, ", "), true
}

func named(fields []*ast.Field) bool {
	for _, field := range fields {
		if len(field.Names) == 0 {
			return false
		}
		for _, n := range field.Names {
			if n.Name == "_" {
				return false
			}
		}
	}
	return true
}

// recovers tells whether f itself calls recover, which works in the function that is deferred, and in none that it calls.
func recovers(f *ast.FuncDecl) (found bool) {
	ast.Inspect(f.Body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok {
			if callee, ok := call.Fun.(*ast.Ident); ok && callee.Name == "recover" {
				found = true
			}
		}
		_, inner := n.(*ast.FuncLit)
		return !inner
	})
	return found
}

// syntax is a source and what it parses to; file is nil if it does not parse.
type syntax struct {
	source string
	file   *ast.File
	base   token.Pos
}

func parsed(source string) syntax {
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "", source, parser.SkipObjectResolution)
	if err != nil {
		return syntax{}
	}
	return syntax{source, file, file.FileStart}
}

func (s syntax) text(n ast.Node) string { return s.between(n.Pos(), n.End()) }

func (s syntax) between(from, to token.Pos) string { return s.source[from-s.base : to-s.base] }
