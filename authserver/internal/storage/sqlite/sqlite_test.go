package sqlite_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/internal/storage/sqlite"
	"github.com/phantomgate/phantomgate/authserver/internal/storage/storagetest"
)

func TestStore(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storagetest.Store { return open(t, filepath.Join(t.TempDir(), "issuer.db")) })
}

// TestControls builds the store with one protection taken out and demands that the tests of it notice.
func TestControls(t *testing.T) {
	for _, control := range []struct{ tag, run, message string }{
		{"fault_consume", "^TestStore$/^Races$/^a_code$", "racers won, want exactly one"},
		{"fault_consume", "^TestStore$/^Races$/^a_refresh_reference$", "racers won, want exactly one"},
		{"fault_births", "^TestStore$/^Reaches$", "alive is true, want false"},
		{"fault_births", "^TestStore$/^Model$", "[rapid] failed"},
		{"fault_exchange", "^TestStore$/^Exchanges$", "alive is true, want false"},
		{"fault_exchange", "^TestStore$/^Exchanges$/^overtaken$", "outlives a revocation that overtook its birth"},
		{"fault_exchange", "^TestStore$/^Model$", "[rapid] failed"},
		{"fault_sync", "^TestPragmas$", "synchronous is 1, want 2"},
	} {
		t.Run(control.tag+" "+control.run, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-tags", control.tag,
				"-run", control.run, ".", "-rapid.nofailfile").CombinedOutput()
			if err == nil || !strings.Contains(string(out), control.message) {
				t.Errorf("with the protection taken out the test ended with %v and without %q:\n%s", err, control.message, out)
			}
		})
	}
}

// TestOneProcessOneFile: a database that is open is refused, by whatever name, until it is closed.
func TestOneProcessOneFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "issuer.db")
	open := func(path string) (*sqlite.Store, error) {
		return sqlite.Open(t.Context(), sqlite.Options{Path: path, Logger: slog.New(slog.DiscardHandler)})
	}
	first, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		if second, err := open(name); !errors.Is(err, sqlite.ErrInUse) {
			t.Errorf("%s was opened a second time: %v, %v", name, second, err)
		}
	}
	if err := first.Ping(t.Context()); err != nil {
		t.Errorf("the first is disturbed: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := open(link)
	if err != nil {
		t.Fatalf("after it was closed: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Error(err)
	}
}

func TestFilesAreTheOwnersOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "for it")
	path := filepath.Join(dir, "issuer 100%?.db")
	open(t, path)
	for file, want := range map[string]os.FileMode{dir: 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600} {
		if got := mode(t, file); got != want {
			t.Errorf("%s has mode %o, want %o", file, got, want)
		}
	}
	old := filepath.Join(t.TempDir(), "issuer.db")
	if err := os.WriteFile(old, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	open(t, old)
	if got := mode(t, old); got != 0o600 {
		t.Errorf("a file that others could read has mode %o now, want 600", got)
	}
}

func mode(t *testing.T, file string) os.FileMode {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

func TestRowsSurviveAReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	first := open(t, path)
	grant, token := machineGrant()
	if err := first.CreateGrantWithToken(t.Context(), grant, token); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	found, err := open(t, path).FindAccess(t.Context(), "default", token.Hash)
	if err != nil || !found.Alive || found.JTI != token.JTI {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestTablesOfANewerProgramAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "issuer.db")
	if err := open(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = sqlite.Open(t.Context(), sqlite.Options{Path: path, Logger: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "run the newer program") {
		t.Errorf("error is %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	notADatabase := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(notADatabase, []byte(strings.Repeat("these are notes\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, options := range map[string]sqlite.Options{
		"no path":         {Logger: slog.New(slog.DiscardHandler)},
		"no logger":       {Path: filepath.Join(t.TempDir(), "issuer.db")},
		"a directory":     {Path: t.TempDir(), Logger: slog.New(slog.DiscardHandler)},
		"another file":    {Path: notADatabase, Logger: slog.New(slog.DiscardHandler)},
		"under no folder": {Path: filepath.Join(notADatabase, "issuer.db"), Logger: slog.New(slog.DiscardHandler)},
	} {
		if store, err := sqlite.Open(t.Context(), options); err == nil {
			t.Errorf("%s: opened", name)
			_ = store.Close()
		}
	}
}

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(context.Background(), sqlite.Options{Path: path, Logger: slog.New(slog.NewTextHandler(t.Output(), nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// The store has every method that the rooms ask for.
var _ storagetest.Store = (*sqlite.Store)(nil)
