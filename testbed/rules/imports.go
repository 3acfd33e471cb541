package rules

import (
	"fmt"
	"strings"
)

// ban is a direction that imports must not take: no file below one of from (and not below one of except) imports what
// is below one of to. Paths are below root; imports of other repositories are compared whole.
type ban struct {
	from, except []string
	to           []string
	support      bool // packages that exist for tests are held to it too
	tests        bool // tests are, besides
}

func (b ban) breaches(t *Tree) []string {
	var breaches []string
	for _, f := range t.Files {
		if f.Test && !b.tests || f.Support && !b.support || !underAny(f.Path, b.from) || underAny(f.Path, b.except) {
			continue
		}
		for _, p := range f.Imports() {
			target := p
			if rel, ok := ours(p); ok {
				target = rel
			}
			if underAny(target, b.to) {
				breaches = append(breaches, fmt.Sprintf("%s: imports %s", f.Path, p))
			}
		}
	}
	return breaches
}

func underAny(p string, dirs []string) bool {
	for _, dir := range dirs {
		if under(p, dir) {
			return true
		}
	}
	return false
}

func allBreaches(t *Tree, bans ...ban) []string {
	var breaches []string
	for _, b := range bans {
		breaches = append(breaches, b.breaches(t)...)
	}
	return breaches
}

func meetOnTheWire(t *Tree) []string {
	return allBreaches(t,
		ban{from: []string{"plugins"}, to: []string{"authserver", "apiguard", "testbed"}, support: true},
		ban{from: []string{"authserver"}, to: []string{"plugins", "apiguard", "testbed"}, support: true},
		ban{from: []string{"apiguard"}, to: []string{"authserver", "plugins", "testbed"}, support: true, tests: true},
	)
}

// The issuer's layers below authserver/internal.
const (
	internal = "authserver/internal"
	server   = internal + "/server"
	web      = internal + "/web"
	storage  = internal + "/storage"
)

// leaves import nothing of ours but each other; storage's drivers also import storage.
var leaves = []string{internal + "/oauth", internal + "/seal", internal + "/telemetry"}

func oneWay(t *Tree) []string {
	breaches := allBreaches(t,
		ban{from: []string{internal}, except: []string{server, web}, to: []string{server, web}},
		ban{from: []string{"plugins/policy", "plugins/feed", "plugins/claims"}, to: []string{"plugins"}},
		ban{from: []string{"plugins/phantomtoken"}, to: []string{"plugins/gateway", "plugins/caddy", "plugins/tyk"}},
		ban{from: []string{"plugins/tokenhandler"}, to: []string{"plugins/phantomtoken", "plugins/gateway", "plugins/caddy", "plugins/tyk"}},
		ban{from: []string{"plugins/gateway"}, to: []string{"plugins/caddy", "plugins/tyk"}},
	)
	for _, f := range t.Files {
		if f.Test || f.Support {
			continue
		}
		for _, p := range f.Imports() {
			rel, ok := ours(p)
			switch {
			case !ok:
			case under(f.Path, internal) && rel == "authserver",
				underAny(f.Path, leaves) && !underAny(rel, leaves),
				under(f.Path, storage) && !under(rel, storage) && !underAny(rel, leaves):
				breaches = append(breaches, fmt.Sprintf("%s: imports %s", f.Path, p))
			}
		}
	}
	return breaches
}

// databases are what speaks to a database.
var databases = []string{"database/sql", "modernc.org/sqlite", "github.com/mattn/go-sqlite3", "github.com/jackc/pgx", "github.com/lib/pq", "github.com/pressly/goose"}

// driversInStorage lets a driver's own directory under storage import databases, and nobody else of the issuer: not even
// storage itself, which only names what the drivers have in common.
func driversInStorage(t *Tree) []string {
	var breaches []string
	for _, f := range t.Files {
		if f.Test || f.Support || !under(f.Path, "authserver") || strings.HasPrefix(f.Dir(), storage+"/") {
			continue
		}
		for _, p := range f.Imports() {
			if underAny(p, databases) {
				breaches = append(breaches, fmt.Sprintf("%s: imports %s", f.Path, p))
			}
		}
	}
	return breaches
}

// testSupportInTests lets only tests, and other packages that exist for tests, import what exists for tests.
func testSupportInTests(t *Tree) []string {
	support := map[string]bool{}
	for _, f := range t.Files {
		if f.Support {
			support[f.Dir()] = true
		}
	}
	var breaches []string
	for _, f := range t.Files {
		if f.Test || f.Support {
			continue
		}
		for _, p := range f.Imports() {
			if rel, ok := ours(p); ok && support[rel] {
				breaches = append(breaches, fmt.Sprintf("%s: imports %s", f.Path, p))
			}
		}
	}
	return breaches
}
