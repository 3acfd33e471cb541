package rules

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
)

// root is the path of the issuer's module, in which all the others lie.
const root = "github.com/phantomgate/phantomgate"

// Tree is the repository as the rules see it. Paths are relative to its top, with slashes.
type Tree struct {
	Files    []File
	Modules  map[string]*modfile.File // by directory, "." for the top
	Makefile string
	Work     []string // go.work files
}

// File is one Go source file.
type File struct {
	Path    string
	Test    bool // _test.go
	Support bool // of a package that exists for tests: its name ends in "test", as httptest's does
	Ast     *ast.File
}

// Dir is the file's directory, which is also its package's path below root.
func (f File) Dir() string { return path.Dir(f.Path) }

// Imports are the import paths of the file.
func (f File) Imports() []string {
	var paths []string
	for _, spec := range f.Ast.Imports {
		if p, err := strconv.Unquote(spec.Path.Value); err == nil { // the parser has seen to it
			paths = append(paths, p)
		}
	}
	return paths
}

// Load reads a repository. Files of every build tag are read; directories that Go ignores (testdata, a leading dot or
// underscore) and those of other tools are not.
func Load(repo fs.FS) (*Tree, error) {
	t := &Tree{Modules: map[string]*modfile.File{}}
	err := fs.WalkDir(repo, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir():
			return skip(name)
		default:
			return t.read(repo, name)
		}
	})
	if err != nil {
		return nil, err
	}
	if t.Modules["."] == nil {
		return nil, errors.New("there is no go.mod at the top: is this the repository?")
	}
	return t, nil
}

func skip(dir string) error {
	base := path.Base(dir)
	if dir == "." {
		return nil
	}
	if base[0] == '.' || base[0] == '_' || slices.Contains([]string{"testdata", "node_modules"}, base) || slices.Contains([]string{"build", "data"}, dir) {
		return fs.SkipDir
	}
	return nil
}

func (t *Tree) read(repo fs.FS, name string) error {
	base := path.Base(name)
	if path.Ext(name) != ".go" && base != "go.mod" && base != "go.work" && name != "Makefile" {
		return nil
	}
	content, err := fs.ReadFile(repo, name)
	if err != nil {
		return err
	}
	switch {
	case base == "go.work":
		t.Work = append(t.Work, name)
	case base == "go.mod":
		mod, err := modfile.Parse(name, content, nil)
		if err != nil {
			return err
		}
		t.Modules[path.Dir(name)] = mod
	case name == "Makefile":
		t.Makefile = string(content)
	default:
		file, err := parser.ParseFile(token.NewFileSet(), name, content, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		t.Files = append(t.Files, File{
			Path: name, Test: strings.HasSuffix(name, "_test.go"), Support: strings.HasSuffix(path.Dir(name), "test"), Ast: file,
		})
	}
	return nil
}

// under tells whether a path is the directory or lies below it.
func under(p, dir string) bool { return p == dir || strings.HasPrefix(p, dir+"/") }

// ours returns an import path relative to root; it is false for what is not this repository's.
func ours(importPath string) (string, bool) {
	if importPath == root {
		return ".", true
	}
	return strings.CutPrefix(importPath, root+"/")
}
