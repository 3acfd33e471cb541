package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"phantomctl": main})
}

// TestScripts runs each script against an issuer of its own. What they may use besides testscript's commands:
//
//	issue FILE [n]   n references of the client batch, one a line
//	login FILE       a reference of alice at the shop; GRANT, SESSION and JTI are set to its own
//	[!] active FILE  whether all of the file's references are alive (!: none of them is)
//	gateway NAME     a gateway that hears the feed
//	deaf NAME        a gateway whose stream nobody polls
func TestScripts(t *testing.T) {
	scripts, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(scripts) == 0 {
		t.Fatal("there are no scripts", err)
	}
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txtar"), func(t *testing.T) {
			l := newLab(t)
			testscript.Run(t, testscript.Params{
				Files: []string{script}, RequireExplicitExec: true, Cmds: l.commands(t),
				Setup: func(env *testscript.Env) error {
					env.Setenv(envIssuer, l.URL)
					env.Setenv(envAdmin, l.Admin)
					env.Setenv(envSecret, "operator+secret")
					return nil
				},
			})
		})
	}
}

func (l lab) commands(t *testing.T) map[string]func(ts *testscript.TestScript, neg bool, args []string) {
	type command = func(ts *testscript.TestScript, neg bool, args []string)
	return map[string]command{
		"issue": func(ts *testscript.TestScript, _ bool, args []string) {
			n := 1
			if len(args) > 1 {
				var err error
				n, err = strconv.Atoi(args[1])
				ts.Check(err)
			}
			var text strings.Builder
			for range n {
				reference, err := l.issue()
				ts.Check(err)
				text.WriteString(reference + "\n")
			}
			ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text.String()), 0o600))
		},
		"login": func(ts *testscript.TestScript, _ bool, args []string) {
			reference, err := l.login()
			ts.Check(err)
			ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(reference+"\n"), 0o600))
			shown := l.phantomctl(t, l.Admin, nil, "tokens", "--user", "alice")
			rows := strings.Split(strings.TrimSpace(shown.out), "\n")
			last := strings.Fields(rows[len(rows)-1])
			ts.Setenv("JTI", last[0])
			ts.Setenv("GRANT", last[1])
			ts.Setenv("SESSION", last[2])
		},
		"active": func(ts *testscript.TestScript, neg bool, args []string) {
			for reference := range strings.FieldsSeq(ts.ReadFile(args[0])) {
				active, err := l.active(reference)
				ts.Check(err)
				if active == neg {
					ts.Fatalf("a reference of %s is alive: %t", args[0], active)
				}
			}
		},
		"gateway": func(ts *testscript.TestScript, _ bool, args []string) {
			poll, err := l.stream(args[0])
			ts.Check(err)
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan struct{})
			go func() {
				l.hear(ctx, poll)
				close(ended)
			}()
			ts.Defer(func() { cancel(); <-ended })
		},
		"deaf": func(ts *testscript.TestScript, _ bool, args []string) {
			_, err := l.stream(args[0])
			ts.Check(err)
		},
	}
}
