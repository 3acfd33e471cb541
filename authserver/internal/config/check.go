package config

import (
	"crypto/tls"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// mostStreams of one client are more than any gateway has replicas.
const mostStreams = 10_000

// check finds what decoding cannot: what is missing, out of bounds, or contradicts something else.
func check(d *decoder, c *Config) {
	checkIssuer(d, c)
	checkListeners(d, c)
	checkDemo(d, c)
	checkTLS(d, c)
	checkStorage(d, c)
	checkDataKey(d, c)
	checkSigning(d, c.Signing)
	if c.Feed.StreamsPerClient > mostStreams {
		d.fault("feed.streams_per_client", fmt.Sprintf("is more than %d", mostStreams), "write less; more replicas than that want clients of their own")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Policies)) {
		checkPolicy(d, name, c.Policies[name])
	}
	checkAudiences(d, c)
	checkClients(d, c)
	checkUsers(d, c)
}

func checkIssuer(d *decoder, c *Config) {
	const fix = "write it like https://login.example.com (http only on loopback)"
	if c.Issuer == "" {
		d.fault("issuer", "is missing", fix)
		return
	}
	u, err := url.Parse(c.Issuer)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || !printable(c.Issuer):
		d.fault("issuer", "is not an absolute URL", fix)
	case u.Scheme != "https" && (u.Scheme != "http" || !loopbackName(u.Hostname())):
		d.fault("issuer", "must be https: tokens would travel in the open", fix)
	case u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(c.Issuer, "#"):
		d.fault("issuer", "must end after the host and port: no path, slash, query or fragment", fix)
	case u.Host != strings.ToLower(u.Host):
		d.fault("issuer", "must be in lower case: it is compared letter by letter", "write "+shown(strings.ToLower(c.Issuer)))
	}
}

func checkListeners(d *decoder, c *Config) {
	checkListener(d, "listen", c.Listen)
	checkListener(d, "admin.listen", c.Admin.Listen)
	if c.Listen == c.Admin.Listen && c.Listen != "" && !strings.HasSuffix(c.Listen, ":0") {
		d.fault("admin.listen", "is the public listener", "give the admin side an address of its own, that only operators reach")
	}
	checkHosts(d, "hosts", c.Hosts)
	checkHosts(d, "admin.hosts", c.Admin.Hosts)
}

func checkListener(d *decoder, key, address string) {
	const fix = "write host:port, such as 127.0.0.1:8090 or :8090"
	if address == "" {
		d.fault(key, "is missing", fix)
		return
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		d.fault(key, "is not host:port", fix)
		return
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		d.fault(key, "has no port from 0 to 65535", fix)
	}
}

func checkHosts(d *decoder, key string, hosts []string) {
	for i, host := range hosts {
		u, err := url.Parse("//" + host)
		if err != nil || host == "" || u.Host != host || u.User != nil || !printable(host) || host != strings.ToLower(host) {
			d.fault(fmt.Sprintf("%s[%d]", key, i), "is not a host, or host:port", "write it as a client sends it in Host, in lower case, without scheme or path")
		}
	}
}

func checkDemo(d *decoder, c *Config) {
	if !c.Demo {
		for i, client := range c.Clients {
			if client.Secret.source() == fromDemo {
				d.demoFault(fmt.Sprintf("clients[%d].secret.demo", i))
			}
		}
		for i, user := range c.Users {
			if user.Password.source() == fromDemo {
				d.demoFault(fmt.Sprintf("users[%d].password.demo", i))
			}
		}
		if c.DataKey.source() == fromDemo {
			d.demoFault("data_key.demo")
		}
		return
	}
	const fix = "listen on 127.0.0.1, [::1] or localhost, or remove `demo: true` and its secrets"
	for _, at := range []struct{ key, address string }{{"listen", c.Listen}, {"admin.listen", c.Admin.Listen}} {
		if host, _, err := net.SplitHostPort(at.address); err == nil && !loopbackName(host) {
			d.fault(at.key, "is not loopback, in demo mode", fix)
		}
	}
	if u, err := url.Parse(c.Issuer); err == nil && u.Hostname() != "" && !loopbackName(u.Hostname()) {
		d.fault("issuer", "is not loopback, in demo mode", "name localhost, or remove `demo: true` and its secrets")
	}
}

func (d *decoder) demoFault(key string) {
	d.fault(key, "is for demo mode only: everybody who reads the file knows it", "use file or env (a user: bcrypt), or set `demo: true`")
}

func checkTLS(d *decoder, c *Config) {
	if c.TLS == nil {
		return
	}
	if strings.HasPrefix(c.Issuer, "http://") {
		d.fault("issuer", "is http, but tls is set", "write https://, or remove tls")
	}
	readable := 0
	for _, at := range []struct {
		key  string
		file *string
	}{{"tls.cert_file", &c.TLS.CertFile}, {"tls.key_file", &c.TLS.KeyFile}} {
		if *at.file == "" {
			d.fault(at.key, "is missing", "name a PEM file")
			continue
		}
		*at.file = d.path(*at.file)
		if file, err := os.Open(*at.file); err != nil {
			d.fault(at.key, "cannot be read: "+reason(err), "name a PEM file that the issuer may read")
		} else {
			_ = file.Close()
			readable++
		}
	}
	if readable < 2 {
		return
	}
	if _, err := tls.LoadX509KeyPair(c.TLS.CertFile, c.TLS.KeyFile); err != nil {
		d.fault("tls", "is no pair of certificate and key: "+reason(err), "name the certificate, with its chain, and the private key that belongs to it, both as PEM")
	}
}

func checkStorage(d *decoder, c *Config) {
	file := c.Storage.SQLite
	switch {
	case file == "":
		d.fault("storage.sqlite", "is missing", "name the database file; it is made at first start")
	case strings.HasPrefix(file, "file:") || strings.HasPrefix(file, ":") || strings.Contains(file, "?"):
		d.fault("storage.sqlite", "is not a file's path", "name a file: what is answered must survive a crash")
	default:
		c.Storage.SQLite = d.path(file)
	}
}

func (c *Config) warnings() []string {
	var warnings []string
	if c.DataKey.source() == fromFile && filepath.Dir(c.DataKey.kept.file) == filepath.Dir(c.Storage.SQLite) {
		warnings = append(warnings, "data_key.file: lies in the database's own folder; whoever copies the folder can read the database: keep it elsewhere")
	}
	if host, _, err := net.SplitHostPort(c.Admin.Listen); err == nil && !loopbackName(host) {
		warnings = append(warnings, "admin.listen: is not loopback, and speaks plain HTTP; operators' tokens can be read on the way: end TLS before it, on a network of its own")
	}
	return warnings
}

// loopbackName tells whether a host can only be this machine.
func loopbackName(host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}

// printable tells whether s has visible ASCII characters only.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= 0x20 || r >= 0x7f })
}
