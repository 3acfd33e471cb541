package config

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// reference is ${NAME} or ${NAME:-default}. The default holds no brace, so that it cannot nest.
var reference = regexp.MustCompile(`\$\{([^{}]*)\}`)

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// expand replaces what a text takes from the environment. It works on the parsed text, once: a value from the
// environment is never read as YAML, nor expanded again.
func (d *decoder) expand(n *yaml.Node, key string) (string, bool) {
	if !strings.Contains(n.Value, "${") {
		return n.Value, true
	}
	if strings.Count(n.Value, "${") != len(reference.FindAllString(n.Value, -1)) {
		d.fault(key, "has a ${ without its }", "write ${NAME} or ${NAME:-default}")
		return "", false
	}
	ok := true
	text := reference.ReplaceAllStringFunc(n.Value, func(found string) string {
		name, fallback, hasFallback := strings.Cut(found[2:len(found)-1], ":-")
		if !variable.MatchString(name) {
			d.fault(key, "has "+shown(found)+", which names no variable", "write ${NAME} or ${NAME:-default}")
			ok = false
			return ""
		}
		value, isSet := d.getenv(name)
		switch {
		case hasFallback && value == "": // as a shell does: unset or empty
			return fallback
		case !isSet:
			d.fault(key, "needs the environment variable "+name+", which is not set", "set it, or write ${"+name+":-default}")
			ok = false
		}
		return value
	})
	return text, ok
}
