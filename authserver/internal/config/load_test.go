package config

import (
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

const (
	testDataKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	canary      = "canary-0123456789abcdef"
)

func testEnv(name string) (string, bool) {
	value, ok := map[string]string{"DATA_KEY": testDataKey, "SPA_SECRET": canary, "EMPTY": "", "SHORT": "short"}[name]
	return value, ok
}

func validYAML(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("testdata/valid.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func mustParse(t testing.TB, yaml string) Config {
	t.Helper()
	cfg, err := Parse("issuer.yaml", []byte(yaml), "/etc/phantomgate", testEnv)
	if err != nil {
		t.Fatalf("refused:\n%v", err)
	}
	return cfg
}

func TestValid(t *testing.T) {
	cfg := mustParse(t, validYAML(t))
	if cfg.Listen != "0.0.0.0:8090" || cfg.Storage.SQLite != "/etc/phantomgate/data/issuer.db" {
		t.Errorf("listen %q, sqlite %q", cfg.Listen, cfg.Storage.SQLite)
	}
	want := Policy{AccessToken: 2 * time.Minute, PhantomToken: 5 * time.Minute, Code: time.Minute, RefreshIdle: 24 * time.Hour,
		RefreshAbsolute: 720 * time.Hour, Session: 8 * time.Hour, Refresh: RefreshAlways}
	if got := cfg.Clients[0].Policy; got != want {
		t.Errorf("policy of spa: %+v", got)
	}
	if cfg.Feed.StreamsPerClient != 256 {
		t.Errorf("%d streams for a client, unless the file says so", cfg.Feed.StreamsPerClient)
	}
	if got := mustParse(t, validYAML(t)+"feed: {streams_per_client: 3}\n").Feed.StreamsPerClient; got != 3 {
		t.Errorf("%d streams for a client, where the file says 3", got)
	}
	if got := cfg.Clients[1]; got.PolicyName != "default" || got.Policy.AccessToken != 15*time.Minute || got.Name != "mobile" || got.Consent != ConsentAsk {
		t.Errorf("defaults of mobile: %+v", got)
	}
	if cfg.Signing != (Signing{Algorithm: EdDSA, RotateEvery: 720 * time.Hour, PublishFor: time.Hour}) {
		t.Errorf("signing: %+v", cfg.Signing)
	}
	if cfg.Clients[0].Secret.Value() != canary || cfg.Clients[2].Secret.Value() != "" || cfg.Clients[2].Secret.Hash()[0] != 0xe3 {
		t.Error("secrets are not what the environment and the file say")
	}
	wantClaims := map[string]any{"region": "eu", "age": 42, "tags": []any{"a", "b"}, "address": map[string]any{"country": "DE"}}
	if got := cfg.Users[0].Claims; !reflect.DeepEqual(got, wantClaims) {
		t.Errorf("claims: %#v", got)
	}
	if _, err := cfg.OpenDataKey(); err != nil {
		t.Error(err)
	}
}

var update = flag.Bool("update", false, "write the golden faults anew; then read them")

// TestFaults holds every rule to its message: the lines `- old => new` change the valid file, the others are the faults.
func TestFaults(t *testing.T) {
	files, err := filepath.Glob("testdata/faults/*.txt")
	if err != nil || len(files) < 4 {
		t.Fatalf("found %d files: %v", len(files), err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		blocks := strings.Split(strings.TrimSpace(string(data)), "\n\n")
		for i, block := range blocks {
			t.Run(fmt.Sprintf("%s/%d", filepath.Base(file), i+1), func(t *testing.T) {
				edits, want := cutCase(block)
				got := faultsOf(t, edits)
				blocks[i] = strings.Join(append(edits, got...), "\n")
				if !*update && !slices.Equal(got, want) {
					t.Errorf("%s\ngot:\n%s\nwant:\n%s", strings.Join(edits, "\n"), strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			})
		}
		if *update {
			if err := os.WriteFile(file, []byte(strings.Join(blocks, "\n\n")+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func cutCase(block string) (edits, faults []string) {
	for line := range strings.SplitSeq(block, "\n") {
		if strings.HasPrefix(line, "- ") {
			edits = append(edits, line)
		} else {
			faults = append(faults, line)
		}
	}
	return edits, faults
}

func faultsOf(t *testing.T, edits []string) []string {
	yaml := validYAML(t)
	for _, edit := range edits {
		old, replacement, ok := strings.Cut(strings.ReplaceAll(strings.TrimPrefix(edit, "- "), `\n`, "\n"), " =>")
		if !ok || !strings.Contains(yaml, old) {
			t.Fatalf("%q changes nothing in the valid file", edit)
		}
		yaml = strings.Replace(yaml, old, strings.TrimPrefix(replacement, " "), 1)
	}
	_, err := Parse("issuer.yaml", []byte(yaml), "/etc/phantomgate", testEnv)
	if err == nil {
		t.Fatalf("%q is accepted", edits)
	}
	return strings.Split(err.Error(), "\n")
}

func TestFaultsOfTheWholeFile(t *testing.T) {
	for yaml, want := range map[string]string{
		"":                             "issuer.yaml: is empty",
		"# nothing\n":                  "issuer.yaml: is empty",
		"- a\n":                        "issuer.yaml:1: must be a mapping",
		"issuer: [\n":                  "is not YAML",
		"issuer: \"a\n":                "is not YAML",
		validYAML(t) + "---\nb: 1\n":   "a second YAML document begins here",
		validYAML(t) + "---\n":         "a second YAML document begins here",
		strings.Repeat("#\n", 1<<20):   "has more than 1 MiB",
		"issuer: \xff\n":               "is not YAML",
		"a: &a [*a]\nissuer: *a\n":     "",
		"<<: {issuer: x}\nlisten: b\n": "merge keys",
	} {
		_, err := Parse("issuer.yaml", []byte(yaml), ".", nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", yaml, err, want)
		}
	}
	_, err := Load(filepath.Join(t.TempDir(), "none.yaml"), testEnv)
	if err == nil || !strings.Contains(err.Error(), "none.yaml: cannot be read: no such file") {
		t.Error(err)
	}
}

// TestTLSPairIsChecked: a certificate that cannot be served is a fault of the config, not of the first handshake.
func TestTLSPairIsChecked(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tls.pem")
	if err := os.WriteFile(file, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	yaml := validYAML(t) + "tls: {cert_file: " + file + ", key_file: " + file + "}\n"
	_, err := Parse("issuer.yaml", []byte(yaml), ".", testEnv)
	if err == nil || !strings.Contains(err.Error(), ": tls: is no pair of certificate and key: ") {
		t.Error(err)
	}
}

// TestSecretsPrintAsDots looks for the canary wherever a Config may be printed by mistake.
func TestSecretsPrintAsDots(t *testing.T) {
	cfg := mustParse(t, validYAML(t))
	hidden := struct{ inner Config }{cfg} // fmt calls no methods below an unexported field
	encoded, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	log := slog.New(slog.NewTextHandler(&logged, nil))
	log.Info("config", "config", cfg, "secret", cfg.Clients[0].Secret, "password", cfg.Users[0].Password)
	for _, printed := range []string{fmt.Sprint(cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%#v", cfg), fmt.Sprintf("%+v", hidden),
		fmt.Sprintf("%#v", hidden), fmt.Sprintf("%s %x", cfg.Clients[0].Secret, cfg.Clients[0].Secret), string(encoded), logged.String()} {
		for _, secret := range []string{canary, fmt.Sprintf("%x", canary), testDataKey, "N9qo8uLOick"} {
			if strings.Contains(printed, secret) {
				t.Errorf("printed: %s", printed)
			}
		}
	}
}

func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil { // whatever the umask
			t.Fatal(err)
		}
	}
	write("good", canary+"\n", 0o444)
	write("open", canary+"\r\n", 0o666)
	write("empty", "\n", 0o600)
	write("short", "short", 0o600)
	parse := func(name string) (Config, error) {
		yaml := strings.Replace(validYAML(t), "{env: SPA_SECRET}", "{file: "+name+"}", 1)
		return Parse("issuer.yaml", []byte(yaml), dir, testEnv)
	}
	for name, warned := range map[string]bool{"good": false, "open": true} {
		cfg, err := parse(name)
		if err != nil || cfg.Clients[0].Secret.Value() != canary || len(cfg.Warnings) > 0 != warned {
			t.Errorf("%s: %v, warnings %q", name, err, cfg.Warnings)
		}
	}
	for name, want := range map[string]string{"empty": "names an empty file", "short": "less than 16 bytes", "none": "cannot be read: no such file", ".": "cannot be read: is a directory"} {
		if _, err := parse(name); err == nil || !strings.Contains(err.Error(), "issuer.yaml:25: clients[0].secret.file: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDataKeyIsCreatedOnce(t *testing.T) {
	dir := t.TempDir()
	yaml := strings.Replace(validYAML(t), "{env: DATA_KEY}", "{file: keys/data.key, create: true}", 1)
	parse := func() (Config, error) { return Parse("issuer.yaml", []byte(yaml), dir, testEnv) }
	first, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "keys", "data.key")
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Fatalf("reading the configuration wrote the key: %v", err)
	}
	keys := make(chan []byte)
	for range 4 { // several nodes start at once
		go func() {
			key, err := first.OpenDataKey()
			if err != nil {
				t.Error(err)
				keys <- nil
				return
			}
			keys <- key.Seal("p", "i", []byte("x"))
		}()
	}
	sealed := [][]byte{<-keys, <-keys, <-keys, <-keys}
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	again, err := parse()
	if err != nil {
		t.Fatal(err)
	}
	key, err := again.OpenDataKey()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sealed {
		if _, err := key.Open("p", "i", s); err != nil {
			t.Error("a node used another key")
		}
	}
	if left, _ := os.ReadDir(filepath.Dir(file)); len(left) != 1 {
		t.Errorf("drafts were left: %v", left)
	}
	// The key is lost, the database is not: a new key would open nothing of it.
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "data", "issuer.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := parse(); err == nil || !strings.Contains(err.Error(), "is not there, but the database is") {
		t.Errorf("a lost key was made anew: %v", err)
	}
}

func TestWarnsOfDataKeyBesideDatabase(t *testing.T) {
	yaml := strings.Replace(validYAML(t), "{env: DATA_KEY}", "{file: data/key, create: true}", 1)
	if warnings := mustParse(t, yaml).Warnings; len(warnings) != 1 || !strings.Contains(warnings[0], "the database's own folder") {
		t.Errorf("%q", warnings)
	}
}

func TestWarnsOfAdminInTheOpen(t *testing.T) {
	yaml := regexp.MustCompile(`(admin: *(\{ *|\n +)listen: *)"?[^"\s}]+"?`).ReplaceAllString(validYAML(t), `${1}"192.0.2.1:8091"`)
	if warnings := mustParse(t, yaml).Warnings; len(warnings) != 1 || !strings.Contains(warnings[0], "admin.listen") {
		t.Errorf("%q", warnings)
	}
}

func TestPassword(t *testing.T) {
	demo := strings.NewReplacer("https://login.example.com", "http://localhost:8090", "0.0.0.0", "127.0.0.1",
		"issuer:", "demo: true\nissuer:", "bcrypt: $2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy", "demo: "+strings.Repeat("p", MaxPassword))
	password := mustParse(t, demo.Replace(validYAML(t))).Users[0].Password
	for given, want := range map[string]bool{strings.Repeat("p", MaxPassword): true, strings.Repeat("p", MaxPassword-1): false,
		strings.Repeat("p", MaxPassword) + "p": false, "": false} {
		if password.Matches(given) != want {
			t.Errorf("%d bytes: %v", len(given), !want)
		}
	}
	if (Password{}).Matches("") {
		t.Error("no password was matched by none")
	}
	if _, err := HashPassword(strings.Repeat("p", MaxPassword+1)); err == nil {
		t.Error("hashed what bcrypt cannot tell apart")
	}
	hash, err := HashPassword("correct horse")
	if cost, _ := bcrypt.Cost([]byte(hash)); err != nil || cost != HashCost {
		t.Errorf("cost %d: %v", cost, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(validYAML(f)))
	for _, seed := range []string{"a: &a [*a]", "<<: *x", "? [a]\n: b", "issuer: ${", "users: [{claims: {a: .inf}}]", "issuer: !!binary YQ==", "demo: !x true"} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := Parse("f", data, dir, testEnv)
		if err == nil {
			if _, err := json.Marshal(cfg); err != nil { // claims must survive a JWT
				t.Errorf("accepted what JSON cannot say: %v", err)
			}
			return
		}
		faults, ok := err.(Faults)
		if !ok || len(faults) == 0 {
			t.Fatalf("not Faults: %v", err)
		}
		for _, fault := range faults {
			if fault.Problem == "" || fault.Fix == "" {
				t.Errorf("a fault without problem or fix: %+v", fault)
			}
		}
	})
}

// FuzzUnknownKey puts a key into every mapping of the valid file: never accepted unless it is a known one there.
func FuzzUnknownKey(f *testing.F) {
	valid := validYAML(f)
	for _, name := range []string{"Issuer", "secrets", "x-y", "ISSUER", "issuer ", "''"} {
		f.Add(name)
	}
	anchors := []string{"issuer: ", "  listen: 127", "  sqlite: ", "  algorithm: ", "    access_token: ", "    title: The", "    name: The"}
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '_' && r != '-' }) {
			return
		}
		for _, anchor := range anchors {
			indent := anchor[:len(anchor)-len(strings.TrimLeft(anchor, " "))]
			yaml := strings.Replace(valid, anchor, indent+name+": 1\n"+anchor, 1)
			_, err := Parse("f", []byte(yaml), "/", testEnv)
			faults, _ := err.(Faults)
			if !slices.ContainsFunc(faults, func(x Fault) bool { return strings.HasSuffix(x.Key, name) || strings.Contains(x.Problem, "YAML") }) {
				t.Errorf("%q before %q was accepted, or not named: %v", name, anchor, err)
			}
		}
	})
}
