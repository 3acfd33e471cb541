package faults

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// needStrace ends the test where strace is missing: fatally in CI, loudly elsewhere.
func needStrace(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("strace is missing (apt-get install strace): nothing shows that writes are synced")
	}
	t.Skip("SKIPPED, AND NOTHING SHOWS THAT WRITES ARE SYNCED: strace is missing (apt-get install strace)")
}

// traced is what one request did.
type traced struct {
	post   bool
	path   string
	answer string // the status
	synced bool   // the WAL was synced between the request's arrival and its answer
}

var (
	// net/http waits for a further request on a connection by reading one byte: its method may lack the first letter.
	requestRead = regexp.MustCompile(`"(P?OST|G?ET) ([^ ]+) HTTP/1\.1\\r`)
	answerSent  = regexp.MustCompile(`^write\(.*"HTTP/1\.1 ([0-9]{3})`)
	syncOfWAL   = regexp.MustCompile(`^(?:fsync|fdatasync)\(\d+<[^>]*issuer\.db-wal>`)
	processID   = regexp.MustCompile(`^(?:\[pid +)?(\d+)\]? +`)
)

// readTrace reads what strace -f -y wrote of a client that sent one request after another, so that whatever stands between
// a request's arrival and its answer belongs to it. A sync counts when it has returned 0, which may be on a later line than
// its call.
func readTrace(t *testing.T, file string) []traced {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // it was read only
	var (
		list    []traced
		now     *traced
		syncing = map[string]bool{} // threads inside a sync of the WAL
	)
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		id := processID.FindStringSubmatch(line)
		if id == nil {
			continue
		}
		call, thread := line[len(id[0]):], id[1]
		if m := requestRead.FindStringSubmatch(call); m != nil {
			now = &traced{post: strings.HasSuffix(m[1], "OST"), path: m[2]}
			continue
		}
		if now == nil {
			continue
		}
		returned := strings.HasSuffix(call, "= 0")
		switch {
		case syncOfWAL.MatchString(call) && returned:
			now.synced = true
		case syncOfWAL.MatchString(call):
			syncing[thread] = strings.Contains(call, "unfinished")
		case syncing[thread] && strings.HasPrefix(call, "<... f") && strings.Contains(call, "sync resumed"):
			now.synced = now.synced || returned
			delete(syncing, thread)
		default:
			if m := answerSent.FindStringSubmatch(call); m != nil {
				now.answer = m[1]
				list, now = append(list, *now), nil
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return list
}

// startTraced starts the issuer under strace with further options, which writes to the file that is returned.
func (i *issuer) startTraced(t *testing.T, options ...string) (*process, string) {
	t.Helper()
	file := filepath.Join(i.dir, "strace.txt")
	under := append([]string{"strace", "-f", "-y", "-s", "64", "-o", file}, options...)
	return i.start(t, under...), file
}
