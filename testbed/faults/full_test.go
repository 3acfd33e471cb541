package faults

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestAFullDisk gives the database a disk of 4 MB and writes until it is full: then writes are answered 503, reads go on,
// and with space again so do writes.
func TestAFullDisk(t *testing.T) {
	i := newIssuer(t, "")
	smallDisk(t, i.db)
	ballast := filepath.Join(i.db, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	p := i.start(t)
	c := i.client()
	answered := fill(t, c)
	holdsAll(t, c, answered) // reads go on
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	token, err := c.issue("batch", "eventcatalog.read")
	if err != nil {
		t.Fatalf("with space again: %v", err)
	}
	answered = append(answered, token)
	p.kill()
	i.start(t)
	holdsAll(t, c, answered)
	t.Logf("%d tokens answered", len(answered))
}

// fill issues tokens until the disk is full and stays so for a while.
func fill(t *testing.T, c *client) (answered []string) {
	t.Helper()
	for refused := 0; refused < 20; {
		token, err := c.issue("batch", "eventcatalog.read")
		var r *refusal
		switch {
		case err == nil:
			if answered = append(answered, token); len(answered) > 100_000 {
				t.Fatal("the disk is never full")
			}
		case errors.As(err, &r) && r.status == http.StatusServiceUnavailable && r.retryAfter != "":
			refused++
		default:
			t.Fatalf("a full disk was answered with %v, want 503 and Retry-After", err)
		}
	}
	return answered
}

func holdsAll(t *testing.T, c *client, references []string) {
	t.Helper()
	for _, reference := range references {
		if alive, err := c.active(reference); err != nil || !alive {
			t.Fatalf("an answered token is active: %t (error: %v)", alive, err)
		}
	}
}

// smallDisk mounts a tmpfs of 4 MB, which only root may: elsewhere the test is skipped, loudly, and fails in CI.
func smallDisk(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m,mode=0700"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("mounting a small disk takes root: %v", err)
		}
		t.Skipf("SKIPPED, AND NOTHING SHOWS WHAT A FULL DISK DOES: mounting a small one takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}
