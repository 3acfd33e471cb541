package compose

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/phantomgate/phantomgate/testbed/freeaddress"
)

// asked is the variable by which make compose-test asks for this test.
const asked = "COMPOSE_TEST"

// patience bounds the wait for a container, on a machine that does much else.
const patience = 2 * time.Minute

// running are the services that go on running; setup ends.
var running = []string{"account", "discount", "eventcatalog", "gateway", "issuer", "shop", "shoppingbasket"}

// stack is a running docker-compose.yml.
type stack struct {
	compose         []string // the command: docker compose, or docker-compose
	project         string
	gateway, issuer string // addresses on this machine
	passwords       map[string]string
	containers      map[string]string // ids by service
}

// start builds and starts everything; the test takes it away.
func start(t *testing.T) *stack {
	t.Helper()
	if os.Getenv(asked) == "" {
		t.Skip("SKIPPED, docker-compose.yml is not tested here: it takes Docker and minutes; make compose-test does it")
	}
	s := &stack{compose: composeCommand(t), project: fmt.Sprintf("phantomgate-test-%d", os.Getpid())}
	free, err := freeaddress.Find(2)
	if err != nil {
		t.Fatal(err)
	}
	var ports [2]string
	for i, address := range free {
		if _, ports[i], err = net.SplitHostPort(address); err != nil {
			t.Fatal(err)
		}
	}
	s.gateway, s.issuer = "http://localhost:"+ports[0], "http://localhost:"+ports[1]
	t.Setenv("COMPOSE_PROJECT_NAME", s.project)
	t.Setenv("GATEWAY_PORT", ports[0])
	t.Setenv("ISSUER_PORT", ports[1])
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.logs(t))
		}
		s.do(t, "down", "--volumes", "--rmi", "local", "--timeout", "10")
	})
	begun := time.Now()
	s.do(t, "build")
	t.Logf("built in %v", time.Since(begun).Round(time.Second))
	begun = time.Now()
	s.do(t, "up", "--detach")
	s.find(t)
	for _, service := range running {
		s.awaitHealthy(t, service, begun)
	}
	t.Logf("all healthy after another %v", time.Since(begun).Round(time.Second))
	s.learnPasswords(t)
	return s
}

// composeCommand finds docker compose, or docker-compose. Where CI=true it must be there.
func composeCommand(t *testing.T) []string {
	t.Helper()
	for _, command := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.Command(command[0], append(command[1:], "version")...).Run() == nil {
			if out, err := exec.Command("docker", "info").CombinedOutput(); err != nil {
				missing(t, "Docker's engine does not answer: "+string(out))
			}
			return command
		}
	}
	missing(t, "there is neither docker compose nor docker-compose")
	return nil
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip("SKIPPED, docker-compose.yml is not tested: " + what)
}

// do runs a command of docker compose, showing what it says, and wants it to succeed.
func (s *stack) do(t *testing.T, args ...string) {
	t.Helper()
	cmd := s.command(args...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr // the build takes minutes: somebody may be watching
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v", strings.Join(cmd.Args, " "), err)
	}
}

// says runs a command of docker compose and gives what it prints.
func (s *stack) says(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, s.command(args...))
}

func (s *stack) command(args ...string) *exec.Cmd {
	all := append(slices.Clone(s.compose), args...)
	cmd := exec.Command(all[0], all[1:]...)
	cmd.Dir = "../.."
	return cmd
}

func docker(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, exec.Command("docker", args...))
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, out, said.String())
	}
	return string(out)
}

// logs is what all containers have logged.
func (s *stack) logs(t *testing.T) string {
	t.Helper()
	return s.says(t, "logs", "--no-color")
}

// find learns the containers' ids.
func (s *stack) find(t *testing.T) {
	t.Helper()
	s.containers = map[string]string{}
	list := docker(t, "ps", "--all", "--no-trunc", "--filter", "label=com.docker.compose.project="+s.project,
		"--format", `{{.ID}} {{.Label "com.docker.compose.service"}}`)
	for line := range strings.Lines(list) {
		id, service, _ := strings.Cut(strings.TrimSpace(line), " ")
		s.containers[service] = id
	}
}

// awaitHealthy waits until Docker says, after a moment, that a container is healthy.
func (s *stack) awaitHealthy(t *testing.T, service string, since time.Time) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", "events", "--since", strconv.FormatFloat(float64(since.UnixNano())/1e9, 'f', 6, 64),
		"--filter", "container="+s.containers[service], "--filter", "event=health_status", "--format", "{{.Status}}")
	events, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }() // it was killed
	defer cancel()
	for lines := bufio.NewScanner(events); lines.Scan(); {
		if lines.Text() == "health_status: healthy" {
			return
		}
	}
	t.Fatalf("%s has not become healthy: %s", service, docker(t, "inspect", "--format", "{{json .State}}", s.containers[service]))
}

// passwordLine is a line of what docker compose run --rm setup passwords prints.
var passwordLine = regexp.MustCompile(`(?m)^(\w+) +(\S+)\r?$`)

func (s *stack) learnPasswords(t *testing.T) {
	t.Helper()
	s.passwords = map[string]string{}
	shown := s.says(t, "run", "--rm", "-T", "setup", "passwords")
	for _, line := range passwordLine.FindAllStringSubmatch(shown, -1) {
		s.passwords[line[1]] = line[2]
	}
	for _, name := range []string{"alice", "bob", "olga", "batch", "partner"} {
		if s.passwords[name] == "" {
			t.Fatalf("setup passwords does not tell %s's", name)
		}
	}
}

// exec runs a command in a service's container.
func (s *stack) exec(t *testing.T, service string, args ...string) string {
	t.Helper()
	return docker(t, append([]string{"exec", s.containers[service]}, args...)...)
}

// phantomctl is the operator's, as docs/docker-compose.md says.
func (s *stack) phantomctl(t *testing.T, args ...string) string {
	t.Helper()
	return s.says(t, append([]string{"exec", "-T", "issuer", "phantomctl"}, args...)...)
}
