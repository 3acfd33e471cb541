package config

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/crypto/bcrypt"
)

// minSecret is the shortest secret that protects anything, in bytes; demo secrets are let off, since demo mode is.
const minSecret = 16

// dataKeyKey is where the data key stands in the file.
const dataKeyKey = "data_key"

// secret reads a secret by reference.
func (d *decoder) secret(n *yaml.Node, key string) Secret {
	allowed := []string{fromFile, fromEnv, fromDemo, fromSHA256}
	if key == dataKeyKey {
		allowed = []string{fromFile, fromEnv, fromDemo}
	}
	create := false
	source, text, ok := d.source(n, key, allowed, func(name, at string, value *yaml.Node) bool {
		if key != dataKeyKey || name != "create" {
			return false
		}
		create = value.Kind == yaml.ScalarNode && value.Value == "true" && value.ShortTag() == "!!bool"
		if !create {
			d.fault(at, "can only be true", "write `create: true`, or leave it out")
		}
		return true
	})
	if !ok {
		return Secret{}
	}
	if create && source != fromFile {
		d.fault(key+".create", "goes with `file` only", "remove it, or name a file")
		return Secret{}
	}
	kept := &keptSecret{source: source, create: create}
	at := key + "." + source
	switch source {
	case fromSHA256:
		sum, err := hex.DecodeString(text)
		if err != nil || len(sum) != sha256.Size {
			d.fault(at, "must be 64 hexadecimal digits", "give the SHA-256 of the secret, as sha256sum prints it")
			return Secret{}
		}
		kept.hash = [sha256.Size]byte(sum)
		return Secret{kept}
	case fromFile:
		kept.file = d.path(text)
		kept.value, ok = d.secretFile(at, kept.file, create)
	case fromEnv:
		kept.value, ok = d.secretEnv(at, text)
	case fromDemo:
		kept.value = text
	}
	if !ok {
		return Secret{}
	}
	if source != fromDemo && !kept.createdLater() && len(kept.value) < minSecret {
		d.fault(at, fmt.Sprintf("leads to a secret of less than %d bytes", minSecret), "use a generated one, such as `openssl rand -hex 32` prints")
		return Secret{}
	}
	kept.hash = sha256.Sum256([]byte(kept.value))
	return Secret{kept}
}

// source reads a mapping that names exactly one of the allowed sources. Keys that more knows are its own.
func (d *decoder) source(n *yaml.Node, key string, allowed []string, more func(name, at string, value *yaml.Node) bool) (source, text string, ok bool) {
	fix := "write exactly one of: " + strings.Join(allowed, ", ")
	if n.Kind != yaml.MappingNode {
		d.fault(key, "must say where the secret comes from, and not be the secret", fix+", as in {file: secrets/name}")
		return "", "", false
	}
	before, given := len(d.faults), 0
	d.entries(n, key, func(name, at string, value *yaml.Node) {
		switch {
		case slices.Contains(allowed, name):
			given++
			source, text = name, d.text(value, at)
		case more != nil && more(name, at, value):
		default:
			d.fault(at, "is not a known key", fix)
		}
	})
	if len(d.faults) > before {
		return "", "", false
	}
	if given != 1 || text == "" {
		d.fault(key, "does not say where it comes from, or says so twice", fix)
		return "", "", false
	}
	return source, text, true
}

// secretFile reads a secret from a file, without the line end that editors add.
func (d *decoder) secretFile(key, path string, create bool) (string, bool) {
	data, err := readFile(path)
	if os.IsNotExist(err) && create {
		return "", true
	}
	if err != nil {
		d.fault(key, "cannot be read: "+reason(err), "put the secret into that file, readable by the issuer")
		return "", false
	}
	// Readable by others is normal where an orchestrator mounts secrets (0444); writable by others never is.
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o002 != 0 {
		d.warnings = append(d.warnings, fmt.Sprintf("%s: the file can be written by everybody; take that right away (chmod o-w)", key))
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	if text == "" {
		d.fault(key, "names an empty file", "put the secret into it")
		return "", false
	}
	return text, true
}

func (d *decoder) secretEnv(key, name string) (string, bool) {
	value, ok := d.getenv(name)
	if !ok || value == "" {
		d.fault(key, "names an environment variable that is not set, or empty", "set it, and give here its name, not its value")
		return "", false
	}
	return value, true
}

// password reads a user's password.
func (d *decoder) password(n *yaml.Node, key string) Password {
	source, text, ok := d.source(n, key, []string{fromBcrypt, fromFile, fromDemo}, nil)
	if !ok {
		return Password{}
	}
	at := key + "." + source
	if source == fromDemo {
		// Hashing is slow on purpose, which protects a stolen file. A demo password stands in the file in plain:
		// there is nothing to protect, and every start would pay.
		hash, err := bcrypt.GenerateFromPassword([]byte(text), bcrypt.MinCost)
		if err != nil {
			d.fault(at, fmt.Sprintf("has more than %d bytes", MaxPassword), "choose a shorter one: bcrypt looks at no more")
			return Password{}
		}
		return Password{&keptPassword{source: source, hash: hash}}
	}
	if source == fromFile {
		if text, ok = d.secretFile(at, d.path(text), false); !ok {
			return Password{}
		}
	}
	cost, err := bcrypt.Cost([]byte(text))
	if err != nil || cost < minCost || cost > maxCost || len(text) != 60 {
		d.fault(at, fmt.Sprintf("is not a bcrypt hash of cost %d to %d", minCost, maxCost), "make one with `authserver hash-password`")
		return Password{}
	}
	return Password{&keptPassword{source: source, hash: []byte(text)}}
}

// path makes a path of the file's absolute, or relative to where the program runs.
func (d *decoder) path(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(d.dir, path)
}
