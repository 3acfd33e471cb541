package compose

import (
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// described is what is read of docker inspect.
type described struct {
	Config struct{ User string }
	State  struct {
		Health struct{ Status string }
	}
	HostConfig struct {
		Privileged     bool
		ReadonlyRootfs bool
		CapDrop        []string
		CapAdd         []string
		SecurityOpt    []string
		PortBindings   map[string][]struct{ HostIP string }
	}
	NetworkSettings struct {
		Networks map[string]struct{ IPAddress string }
	}
	Image string
}

func (s *stack) inspect(t *testing.T, service string) described {
	t.Helper()
	var all []described
	if err := json.Unmarshal([]byte(docker(t, "inspect", s.containers[service])), &all); err != nil || len(all) != 1 {
		t.Fatalf("%s: %v", service, err)
	}
	return all[0]
}

// mostOfOurs is what an image may have beside Debian's, in bytes: Caddy is the largest program.
const mostOfOurs = 100_000_000

func imageSize(t *testing.T, image string) int64 {
	t.Helper()
	size, err := strconv.ParseInt(strings.TrimSpace(docker(t, "image", "inspect", "--format", "{{.Size}}", image)), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return size
}

// privileges: none has any, neither as Docker was told nor as the kernel sees it, and none can write but where it must.
func (s *stack) privileges(t *testing.T) {
	published := []string{}
	for service := range s.containers {
		d := s.inspect(t, service)
		h := d.HostConfig
		if d.Config.User != "65532:65532" || h.Privileged || !h.ReadonlyRootfs || !slices.Equal(h.CapDrop, []string{"ALL"}) || len(h.CapAdd) > 0 ||
			!slices.Contains(h.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s has too much: user %s, %+v", service, d.Config.User, h)
		}
		for _, bindings := range h.PortBindings {
			for _, b := range bindings {
				published = append(published, service)
				if b.HostIP != "127.0.0.1" {
					t.Errorf("%s is published on %q", service, b.HostIP)
				}
			}
		}
	}
	if slices.Sort(published); !slices.Equal(published, []string{"gateway", "issuer"}) {
		t.Errorf("published are the ports of %v", published)
	}
	for _, service := range running {
		if status := s.inspect(t, service).State.Health.Status; status != "healthy" {
			t.Errorf("%s is %s", service, status)
		}
		status := fields(s.exec(t, service, "cat", "/proc/1/status"))
		if status["Uid"] != "65532 65532 65532 65532" || status["Gid"] != "65532 65532 65532 65532" || status["NoNewPrivs"] != "1" ||
			strings.Trim(status["CapEff"]+status["CapBnd"]+status["CapPrm"], "0") != "" {
			t.Errorf("%s runs with %v", service, status)
		}
		for _, folder := range []string{"/", "/etc", "/usr/local/bin"} {
			if out, err := exec.Command("docker", "exec", s.containers[service], "touch", folder+"/written").CombinedOutput(); err == nil || !strings.Contains(string(out), "Read-only") {
				t.Errorf("%s can write to %s: %s", service, folder, out)
			}
		}
		s.exec(t, service, "touch", "/tmp/written") // the control
		if own := imageSize(t, s.inspect(t, service).Image) - imageSize(t, "debian:bookworm-slim"); own > mostOfOurs {
			t.Errorf("%s: its image has %d MB more than Debian's", service, own/1_000_000)
		}
	}
}

// fields reads "Name:<tab>values".
func fields(text string) map[string]string {
	found := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		found[name] = strings.Join(strings.Fields(value), " ")
	}
	return found
}

// secrets: each container sees its own and no other's, and nobody but their owner can read them.
func (s *stack) secrets(t *testing.T) {
	for service, want := range map[string]string{
		"issuer":  "alice.bcrypt batch.secret bob.bcrypt gateway.secret olga.bcrypt operator.secret partner.secret shoppingbasket.secret spa.secret",
		"gateway": "cookie.key gateway.secret spa.secret", "shoppingbasket": "shoppingbasket.secret", "account": "operator.secret",
		"eventcatalog": "", "discount": "", "shop": "",
	} {
		if got := strings.Join(strings.Fields(s.exec(t, service, "ls", "-A", "/secrets")), " "); got != want {
			t.Errorf("%s sees %q, want %q", service, got, want)
		}
		if open := s.exec(t, service, "find", "/secrets", "-perm", "/077"); open != "" {
			t.Errorf("%s: open to others: %s", service, open)
		}
	}
}

// quiet: nothing that is secret stands in a log.
func (s *stack) quiet(t *testing.T) {
	logs := s.logs(t)
	if !strings.Contains(logs, "docker compose run --rm setup passwords") || !strings.Contains(logs, "listening") {
		t.Errorf("these are not the logs:\n%s", logs)
	}
	secret := strings.Fields(s.exec(t, "issuer", "sh", "-c", "cat /secrets/*") + s.exec(t, "gateway", "sh", "-c", "cat /secrets/*"))
	for _, password := range s.passwords {
		secret = append(secret, password)
	}
	for _, one := range append(secret, "pgat_", "pgrt_", "eyJ") {
		if strings.Contains(logs, one) {
			t.Errorf("the logs hold %.6s…", one)
		}
	}
}

// networks: who reaches whom, at every address that anybody has.
func (s *stack) networks(t *testing.T) {
	gateway, public := "gateway:"+port(s.gateway), "issuer:"+port(s.issuer)
	const admin = "issuer:8091"
	routed := []string{"account:9000", "eventcatalog:9000", gateway, "shop:9000", "shoppingbasket:9000"} // the gateway's network
	with := func(more ...string) []string { return append(slices.Clone(routed), more...) }
	for from, want := range map[string][]string{
		"account":        with(public, admin),
		"eventcatalog":   with(public),
		"gateway":        with(public),
		"shop":           with(),
		"shoppingbasket": with(public, "discount:9000"),
		"discount":       {public, "shoppingbasket:9000"},
		// A network carries both ways: who asks the issuer is reached by it, and nobody else.
		"issuer": {"account:9000", "discount:9000", "eventcatalog:9000", gateway, "shoppingbasket:9000"},
	} {
		want = slices.DeleteFunc(want, func(to string) bool { return strings.HasPrefix(to, from+":") })
		slices.Sort(want)
		if reached := s.reached(t, from, append(routed, "discount:9000", public, admin)); !slices.Equal(reached, want) {
			t.Errorf("%s reaches %v, want %v", from, reached, want)
		}
	}
	s.fromOutside(t)
}

func port(address string) string { return address[strings.LastIndex(address, ":")+1:] }

// reached gives those of the others to which a container can open a connection, at any of their addresses. All are tried at
// once: what no network leads to answers nothing at all.
func (s *stack) reached(t *testing.T, from string, targets []string) []string {
	t.Helper()
	var script strings.Builder
	for _, to := range targets {
		service, number, _ := strings.Cut(to, ":")
		if service == from {
			continue
		}
		for _, network := range s.inspect(t, service).NetworkSettings.Networks {
			if network.IPAddress == "" {
				t.Fatalf("%s has no address", service)
			}
			fmt.Fprintf(&script, "(timeout 3 bash -c 'exec 3<>/dev/tcp/%s/%s' 2>/dev/null && echo %s) & ", network.IPAddress, number, to)
		}
	}
	found := strings.Fields(s.exec(t, from, "bash", "-c", script.String()+"wait"))
	slices.Sort(found)
	return slices.Compact(found)
}

// fromOutside: what is published is on loopback alone.
func (s *stack) fromOutside(t *testing.T) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		ip, ok := address.(*net.IPNet)
		if !ok || ip.IP.IsLoopback() || ip.IP.To4() == nil {
			continue
		}
		for _, published := range []string{s.gateway, s.issuer} {
			if conn, err := net.Dial("tcp", net.JoinHostPort(ip.IP.String(), port(published))); err == nil {
				_ = conn.Close()
				t.Errorf("%s is reached at %v too", published, ip.IP)
			}
		}
	}
}
