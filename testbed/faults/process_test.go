package faults

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/phantomgate/phantomgate/testbed/freeaddress"
)

// issuer is the place of one issuer: its program, database and addresses stay the same however often it is started.
type issuer struct {
	program string
	env     []string
	dir     string
	db      string // folder of the database
	addr    string
	admin   string
}

// newIssuer builds the program, with the tags of a control or none, and chooses its addresses.
func newIssuer(t *testing.T, tags string) *issuer {
	t.Helper()
	free, err := freeaddress.Find(2)
	if err != nil {
		t.Fatal(err)
	}
	i := &issuer{dir: t.TempDir(), addr: free[0], admin: free[1]}
	i.db = filepath.Join(i.dir, "db")
	i.program = filepath.Join(i.dir, "authserver")
	build := exec.CommandContext(t.Context(), "go", "build", "-tags", tags, "-o", i.program, "./authserver/cmd/authserver")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the issuer: %v\n%s", err, out)
	}
	i.env = append(os.Environ(), "ISSUER_ADDR="+i.addr, "ADMIN_ADDR="+i.admin, "DATA_DIR="+i.dir, "DB_DIR="+i.db)
	return i
}

// process is one run of an issuer.
type process struct {
	cmd  *exec.Cmd
	log  sync.WaitGroup
	mu   sync.Mutex
	last []string // the end of its log
}

// start runs the issuer, under another program if one is named (strace …), and returns when it says that it listens.
func (i *issuer) start(t *testing.T, under ...string) *process {
	t.Helper()
	args := append(under, i.program, "run", "--config", "testdata/issuer.yaml")
	p := &process{cmd: exec.Command(args[0], args[1:]...)}
	p.cmd.Env = i.env
	// A group of its own: the program that runs it ends with it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	listening := make(chan bool, 1)
	p.log.Go(func() { p.read(stderr, listening) })
	if !<-listening {
		p.kill()
		t.Fatalf("the issuer ended before it listened:\n%s", p.tail())
	}
	return p
}

// read keeps the end of the log, and tells once whether the issuer listens or has ended.
func (p *process) read(stderr io.Reader, listening chan<- bool) {
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		line := lines.Text()
		p.mu.Lock()
		if p.last = append(p.last, line); len(p.last) > 40 {
			p.last = p.last[1:]
		}
		p.mu.Unlock()
		if strings.Contains(line, "msg=listening") {
			select {
			case listening <- true:
			default:
			}
		}
	}
	select {
	case listening <- false:
	default:
	}
}

func (p *process) tail() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.last, "\n")
}

// kill is SIGKILL, and what it takes to know that the process is gone.
func (p *process) kill() {
	if p.cmd.ProcessState != nil {
		return
	}
	_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) // it may have ended by itself
	p.log.Wait()
	_ = p.cmd.Wait() // that it was killed is no news
}
