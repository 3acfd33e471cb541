package config

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile is the largest file that is read, in bytes.
const maxFile = 1 << 20

// Load reads and checks the configuration file. Relative paths in it are relative to its own folder; `${NAME}` in its
// strings is asked of getenv (os.LookupEnv in production). Whatever is wrong comes back as Faults, all of it at once.
// Load writes nothing: a data key that may be created is created by OpenDataKey.
func Load(file string, getenv func(string) (string, bool)) (Config, error) {
	data, err := readFile(file)
	if err != nil {
		return Config{}, Faults{{File: file, Problem: "cannot be read: " + reason(err), Fix: "name a readable file"}}
	}
	return Parse(file, data, filepath.Dir(file), getenv)
}

// Parse is Load for a file that has been read. The name stands in faults; relative paths are relative to baseDir.
func Parse(name string, data []byte, baseDir string, getenv func(string) (string, bool)) (Config, error) {
	d := &decoder{name: name, dir: baseDir, getenv: getenv, lines: map[string]int{}}
	if d.getenv == nil {
		d.getenv = func(string) (string, bool) { return "", false }
	}
	root, ok := d.parse(data)
	if !ok {
		return Config{}, d.faults
	}
	var cfg Config
	d.decodeRoot(root, &cfg)
	d.sealDecoding()
	cfg.fillDefaults()
	check(d, &cfg)
	if len(d.faults) > 0 {
		return Config{}, d.faults.sorted()
	}
	cfg.Warnings = append(d.warnings, cfg.warnings()...)
	return cfg, nil
}

var yamlLine = regexp.MustCompile(`line (\d+): `)

// parse finds the one document's root.
func (d *decoder) parse(data []byte) (*yaml.Node, bool) {
	if len(data) > maxFile {
		d.faults = Faults{{File: d.name, Problem: "has more than 1 MiB", Fix: "name the configuration file"}}
		return nil, false
	}
	source := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	switch err := source.Decode(&document); {
	case errors.Is(err, io.EOF):
		d.faults = Faults{{File: d.name, Problem: "is empty", Fix: "write at least `issuer`, `listen`, `admin`, `storage`, `data_key`"}}
		return nil, false
	case err != nil:
		d.faults = Faults{d.syntax(err)}
		return nil, false
	}
	switch err := source.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		d.faults = Faults{d.syntax(err)}
		return nil, false
	default:
		d.faults = Faults{{File: d.name, Line: second.Line, Problem: "a second YAML document begins here", Fix: "keep one document in the file"}}
		return nil, false
	}
	return document.Content[0], true
}

func (d *decoder) syntax(err error) Fault {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	fault := Fault{File: d.name, Fix: "write valid YAML"}
	if found := yamlLine.FindStringSubmatch(text); found != nil {
		fault.Line, _ = strconv.Atoi(found[1])
		text = strings.Replace(text, found[0], "", 1)
	}
	fault.Problem = "is not YAML: " + text
	return fault
}

func readFile(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(data) > maxFile {
		err = errors.New("more than 1 MiB")
	}
	return data, err
}

// reason is an error's text without the path, which the fault names in its own way.
func reason(err error) string {
	var wrapped *os.PathError
	if errors.As(err, &wrapped) {
		return wrapped.Err.Error()
	}
	return err.Error()
}
