package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// leakedFile writes a file of three batches and a little, in each of which one reference is alive.
func leakedFile(t *testing.T, l lab) (file string, alive []string) {
	t.Helper()
	alive = l.list(t, 4)
	var text strings.Builder
	for _, reference := range alive {
		text.WriteString("# a note\n" + reference + "\n")
		if reference != alive[3] {
			text.WriteString(strings.Repeat("unknown\n", batchSize-1))
		}
	}
	file = filepath.Join(t.TempDir(), "leaked.txt")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, alive
}

func (l lab) isActive(t *testing.T, references []string, want ...bool) {
	t.Helper()
	for i, reference := range references {
		if got, err := l.active(reference); err != nil || got != want[i] {
			t.Errorf("the reference %d is alive: %t (%v), want %t", i, got, err, want[i])
		}
	}
}

func kept(t *testing.T, file string) progress {
	t.Helper()
	data, err := os.ReadFile(file + ".progress")
	if err != nil {
		t.Fatal(err)
	}
	var p progress
	if err := json.Unmarshal(data, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// counting passes everything on, and remembers how many references each batch had.
func counting(sizes *[]int, then func(w http.ResponseWriter, r *http.Request, api http.Handler)) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, api http.Handler) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		var asked struct {
			Tokens []string `json:"tokens"`
		}
		_ = json.Unmarshal(body, &asked)
		*sizes = append(*sizes, len(asked.Tokens))
		then(w, r, api)
	}
}

// TestARunThatWasCutGoesOn: the third batch is carried out and its answer is lost, and the issuer then stays away for longer
// than a run waits. The next run sends that batch again, and what follows it.
func TestARunThatWasCutGoesOn(t *testing.T) {
	l := newLab(t)
	file, alive := leakedFile(t, l)
	var first, second []int
	away := l.before(t, counting(&first, func(w http.ResponseWriter, r *http.Request, api http.Handler) {
		switch {
		case len(first) < 3:
			api.ServeHTTP(w, r)
		case len(first) == 3:
			lose(r, api)
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	d := l.phantomctl(t, away.URL, nil, "revoke-leaked", file)
	if d.code != exitError || !strings.Contains(d.err, "given up after") || !strings.Contains(d.err,
		"2000 references were answered: 2 revoked, 0 ended before, 1998 unknown. Run the same command again: it goes on after line 2002") {
		t.Fatalf("exit code %d:\n%s%s", d.code, d.out, d.err)
	}
	l.isActive(t, alive, false, false, false, true)
	if p := kept(t, file); p.Lines != 2002 || p.Sent != 2000 {
		t.Errorf("kept: %+v", p)
	}
	back := l.before(t, counting(&second, func(w http.ResponseWriter, r *http.Request, api http.Handler) { api.ServeHTTP(w, r) }))
	d = l.phantomctl(t, back.URL, nil, "revoke-leaked", file)
	if d.code != 0 || d.out != "3001 references: 3 revoked, 1 ended before, 2997 unknown\na gateway has applied them when its position is 4 (phantomctl gateways)\n" {
		t.Errorf("exit code %d:\n%s%s", d.code, d.out, d.err)
	}
	back.look(func() {
		if len(second) != 2 || second[0] != batchSize || second[1] != 1 {
			t.Errorf("the second run sent batches of %v", second)
		}
	})
	l.isActive(t, alive, false, false, false, false)
}

// TestSignals: Ctrl-C ends a run after the batch under way, kill at once; either way the next run does the rest.
func TestSignals(t *testing.T) {
	for name, c := range map[string]struct {
		signal syscall.Signal
		lines  int64 // kept
		text   string
	}{
		"ctrl-c": {syscall.SIGINT, 2002, "ended as asked\n2000 references were answered: 2 revoked, 0 ended before, 1998 unknown. Run the same command again: "},
		"kill":   {syscall.SIGKILL, 1001, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			file, alive := leakedFile(t, l)
			reached, release := make(chan struct{}), make(chan struct{})
			var sizes []int
			admin := l.before(t, counting(&sizes, func(w http.ResponseWriter, r *http.Request, api http.Handler) {
				if len(sizes) == 2 {
					close(reached)
					<-release
				}
				api.ServeHTTP(w, r)
			}))
			cmd := exec.CommandContext(t.Context(), "phantomctl", "revoke-leaked", file)
			cmd.Env = append(os.Environ(), envIssuer+"="+l.URL, envAdmin+"="+admin.URL, envSecret+"=operator+secret")
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			<-reached
			if err := cmd.Process.Signal(c.signal); err != nil {
				t.Error(err)
			}
			told := ""
			lines := bufio.NewScanner(stderr)
			for lines.Scan() {
				told += lines.Text() + "\n"
				if strings.HasPrefix(lines.Text(), "ending after the batch under way") {
					close(release)
				}
			}
			if err := cmd.Wait(); err == nil {
				t.Error("it says that it has done it all")
			}
			if c.signal == syscall.SIGKILL {
				close(release)
			}
			if p := kept(t, file); p.Lines != c.lines || !strings.Contains(told, c.text) || strings.Contains(told, "pgat_") {
				t.Errorf("kept %+v, told:\n%s", p, told)
			}
			if d := l.phantomctl(t, l.Admin, nil, "revoke-leaked", file); d.code != 0 || !strings.HasPrefix(d.out, "3001 references: ") {
				t.Errorf("the next run: exit code %d:\n%s%s", d.code, d.out, d.err)
			}
			l.isActive(t, alive, false, false, false, false)
		})
	}
}
