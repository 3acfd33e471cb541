package main

import (
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

func emptyFolder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, consumer := range []string{issuer, gateway, basket, account, tyk, people} {
		if err := os.Mkdir(filepath.Join(dir, consumer), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func makeSecrets(t *testing.T, dir string) map[string]string {
	t.Helper()
	var said strings.Builder
	if err := run([]string{"make", dir}, &said); err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if info, err := entry.Info(); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s has the mode %v (%v)", name, info.Mode(), err)
		}
		relative, err := filepath.Rel(dir, name)
		found[filepath.ToSlash(relative)] = strings.TrimSpace(string(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, secret := range found {
		if strings.Contains(said.String(), secret) {
			t.Errorf("make prints %s", name)
		}
	}
	return found
}

// TestEachSeesItsOwn: who holds what, that no two are alike, and that a password is not among the issuer's.
func TestEachSeesItsOwn(t *testing.T) {
	found := makeSecrets(t, emptyFolder(t))
	want := []string{
		"account/operator.secret",
		"gateway/cookie.key", "gateway/gateway.secret", "gateway/spa.secret",
		"issuer/alice.bcrypt", "issuer/batch.secret", "issuer/bob.bcrypt", "issuer/gateway.secret", "issuer/olga.bcrypt",
		"issuer/operator.secret", "issuer/partner.secret", "issuer/shoppingbasket.secret", "issuer/spa.secret",
		"people/alice.password", "people/batch.secret", "people/bob.password", "people/olga.password", "people/partner.secret",
		"shoppingbasket/shoppingbasket.secret",
		"tyk/gateway.secret", "tyk/tyk.conf",
	}
	if names := slices.Sorted(maps.Keys(found)); !slices.Equal(names, want) {
		t.Errorf("made %v", names)
	}
	seen := map[string]string{}
	for _, name := range want {
		base := filepath.Base(name)
		if other, twice := seen[found[name]]; twice && other != base {
			t.Errorf("%s is the same as %s", name, other)
		}
		seen[found[name]] = base
	}
	for _, login := range users {
		if err := bcrypt.CompareHashAndPassword([]byte(found["issuer/"+login+".bcrypt"]), []byte(found["people/"+login+".password"])); err != nil {
			t.Errorf("%s: %v", login, err)
		}
	}
}

// TestWhatIsThereIsKept, and what was lost is given again, or made anew where nobody can know it any more.
func TestWhatIsThereIsKept(t *testing.T) {
	dir := emptyFolder(t)
	before := makeSecrets(t, dir)
	if after := makeSecrets(t, dir); !maps.Equal(before, after) {
		t.Error("a second start changes secrets")
	}
	for _, lost := range []string{"gateway/spa.secret", "issuer/bob.bcrypt"} {
		if err := os.Remove(filepath.Join(dir, lost)); err != nil {
			t.Fatal(err)
		}
	}
	after := makeSecrets(t, dir)
	if after["gateway/spa.secret"] != before["gateway/spa.secret"] || after["people/bob.password"] != before["people/bob.password"] {
		t.Error("what was lost at one place is not given again from the other")
	}
	if bcrypt.CompareHashAndPassword([]byte(after["issuer/bob.bcrypt"]), []byte(before["people/bob.password"])) != nil {
		t.Error("bob's password is none any more")
	}
	if err := os.Remove(filepath.Join(dir, "people/alice.password")); err != nil {
		t.Fatal(err)
	}
	after = makeSecrets(t, dir)
	if bcrypt.CompareHashAndPassword([]byte(after["issuer/alice.bcrypt"]), []byte(after["people/alice.password"])) != nil {
		t.Error("alice's new password is not the issuer's")
	}
}

// TestTykConfIsTodays: the gateway's configuration is that of this release, with the secret that it had.
func TestTykConfIsTodays(t *testing.T) {
	dir := emptyFolder(t)
	before := makeSecrets(t, dir)["tyk/tyk.conf"]
	name := filepath.Join(dir, "tyk/tyk.conf")
	older := strings.Replace(before, `"control_api_port": 8082,`, "", 1)
	if older == before || os.WriteFile(name, []byte(older), 0o600) != nil {
		t.Fatal(before)
	}
	if after := makeSecrets(t, dir)["tyk/tyk.conf"]; after != before {
		t.Errorf("from an older one: %s", after)
	}
	if err := os.WriteFile(name, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if after := makeSecrets(t, dir)["tyk/tyk.conf"]; after == before || !strings.Contains(after, "control_api_port") {
		t.Errorf("from a broken one: %s", after)
	}
}

// TestPasswords names each person once, and says what to do when there is nothing to show.
func TestPasswords(t *testing.T) {
	dir := emptyFolder(t)
	if err := run([]string{"passwords", dir}, io.Discard); err == nil || !strings.Contains(err.Error(), "docker compose up") {
		t.Errorf("with nothing made: %v", err)
	}
	found := makeSecrets(t, dir)
	var shown strings.Builder
	if err := run([]string{"passwords", dir}, &shown); err != nil {
		t.Fatal(err)
	}
	for name, secret := range found {
		_, aPersons := found[people+"/"+filepath.Base(name)]
		if aPersons != strings.Contains(shown.String(), secret) {
			t.Errorf("shown, or not shown: %s", name)
		}
	}
	if err := run([]string{"print", dir}, io.Discard); err == nil {
		t.Error("an unknown command is accepted")
	}
}
