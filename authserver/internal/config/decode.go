package config

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// decoder fills the Config from the parsed YAML. The YAML package's own decoding stops at a line: it knows neither the
// path of a key nor how to go on after an unknown one, and its messages repeat values, which here may be secrets.
type decoder struct {
	name     string
	dir      string
	getenv   func(string) (string, bool)
	lines    map[string]int // of each key that stands in the file
	faults   Faults
	warnings []string
	unusable []string // keys whose value could not be decoded: what the checks find there is no news
}

func (d *decoder) fault(key, problem, fix string) {
	if d.failed(key) {
		return
	}
	d.faults = append(d.faults, Fault{File: d.name, Line: d.line(key), Key: key, Problem: problem, Fix: fix})
}

// sealDecoding ends the first phase: from now on faults are the checks' findings.
func (d *decoder) sealDecoding() {
	for _, fault := range d.faults {
		if fault.Key != "" {
			d.unusable = append(d.unusable, fault.Key)
		}
	}
}

// failed tells whether the first phase found fault with a key, or with what holds it, or with something in it.
func (d *decoder) failed(key string) bool {
	return slices.ContainsFunc(d.unusable, func(bad string) bool { return within(bad, key) || within(key, bad) })
}

// within tells whether inner is outer or a key below it.
func within(inner, outer string) bool {
	rest, ok := strings.CutPrefix(inner, outer)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// line gives the line of a key or, for one that is missing, of what should hold it.
func (d *decoder) line(key string) int {
	for key != "" {
		if line, ok := d.lines[key]; ok {
			return line
		}
		key = key[:max(strings.LastIndexAny(key, ".["), 0)]
	}
	return 1
}

func (d *decoder) has(key string) bool { _, ok := d.lines[key]; return ok }

func (d *decoder) decodeRoot(root *yaml.Node, cfg *Config) {
	if root.Kind != yaml.MappingNode {
		d.fault("", "must be a mapping", "write `key: value` lines")
		return
	}
	d.structure(root, "", reflect.ValueOf(cfg).Elem())
}

// value decodes one node into v, whatever v is.
func (d *decoder) value(n *yaml.Node, key string, v reflect.Value) {
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		d.fault(key, "anchors and aliases are not read here", "write the value out")
		return
	}
	switch target := v.Addr().Interface().(type) {
	case *Secret:
		*target = d.secret(n, key)
		return
	case *Password:
		*target = d.password(n, key)
		return
	case *time.Duration:
		*target = d.duration(n, key)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.structure(n, key, v)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(n, key, v.Elem())
	case reflect.Slice:
		d.list(n, key, v)
	case reflect.Map:
		d.mapping(n, key, v)
	case reflect.Interface:
		if found := d.free(n, key); found != nil {
			v.Set(reflect.ValueOf(found))
		}
	case reflect.String:
		v.SetString(d.text(n, key))
	case reflect.Bool:
		d.boolean(n, key, v)
	case reflect.Int:
		v.SetInt(int64(d.number(n, key)))
	default: // only a new kind of field in Config can bring this about
		d.fault(key, "has a type that is not read", "tell the maintainers")
	}
}

// entries walks a mapping's keys, each once.
func (d *decoder) entries(n *yaml.Node, key string, each func(name, key string, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.fault(key, "must be a mapping", "write `key: value` lines below it")
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		if name.Kind != yaml.ScalarNode || name.Anchor != "" || name.ShortTag() == "!!merge" {
			d.faults = append(d.faults, Fault{File: d.name, Line: name.Line, Key: key,
				Problem: "merge keys, anchors and composed keys are not read here", Fix: "write the keys out"})
			continue
		}
		if line, ok := seen[name.Value]; ok {
			d.faults = append(d.faults, Fault{File: d.name, Line: name.Line, Key: child(key, name.Value),
				Problem: fmt.Sprintf("stands here a second time (first on line %d)", line), Fix: "keep one"})
			continue
		}
		seen[name.Value] = name.Line
		d.lines[child(key, name.Value)] = name.Line
		each(name.Value, child(key, name.Value), n.Content[i+1])
	}
}

func (d *decoder) structure(n *yaml.Node, key string, v reflect.Value) {
	fields := map[string]reflect.Value{}
	var names []string
	for i := range v.NumField() {
		if name := v.Type().Field(i).Tag.Get("yaml"); name != "-" {
			fields[name] = v.Field(i)
			names = append(names, name)
		}
	}
	d.entries(n, key, func(name, key string, value *yaml.Node) {
		field, ok := fields[name]
		if !ok {
			d.fault(key, "is not a known key", "remove it, or use one of: "+strings.Join(names, ", "))
			return
		}
		d.value(value, key, field)
	})
}

func (d *decoder) list(n *yaml.Node, key string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		d.fault(key, "must be a list", "write `- item` lines below it, or [a, b]")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		at := fmt.Sprintf("%s[%d]", key, i)
		d.lines[at] = item.Line
		d.value(item, at, v.Index(i))
	}
}

func (d *decoder) mapping(n *yaml.Node, key string, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	d.entries(n, key, func(name, key string, value *yaml.Node) {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(value, key, item)
		v.SetMapIndex(reflect.ValueOf(name), item)
	})
}

// free decodes what the file's author may shape: the values of a user's claims. They must survive a JWT, so they are
// JSON's kinds.
func (d *decoder) free(n *yaml.Node, key string) any {
	switch {
	case n.Kind == yaml.MappingNode:
		found := map[string]any{}
		d.mapping(n, key, reflect.ValueOf(&found).Elem())
		return found
	case n.Kind == yaml.SequenceNode:
		var found []any
		d.list(n, key, reflect.ValueOf(&found).Elem())
		return found
	case n.ShortTag() == "!!str":
		return d.text(n, key)
	}
	var found any
	if slices.Contains([]string{"!!bool", "!!int", "!!float"}, n.ShortTag()) && n.Decode(&found) == nil {
		if f, ok := found.(float64); !ok || !math.IsInf(f, 0) && !math.IsNaN(f) {
			return found
		}
	}
	d.fault(key, "must be a text, a number, true, false, a list or a mapping", "give it a value; quote dates")
	return nil
}

func (d *decoder) boolean(n *yaml.Node, key string, v reflect.Value) {
	switch {
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" && (n.Value == "true" || n.Value == "false"):
		v.SetBool(n.Value == "true")
	default:
		d.fault(key, "must be true or false", "write true or false, unquoted")
	}
}

// number reads a whole number above zero, in digits; to get the default, leave the key out.
func (d *decoder) number(n *yaml.Node, key string) int {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
		if parsed, err := strconv.Atoi(n.Value); err == nil && parsed > 0 && strconv.Itoa(parsed) == n.Value {
			return parsed
		}
	}
	d.fault(key, "must be a whole number above zero", "write it in digits, unquoted, such as 256")
	return 0
}

// duration reads what time.ParseDuration does. None may be zero or negative; to get the default, leave the key out.
func (d *decoder) duration(n *yaml.Node, key string) time.Duration {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		text, ok := d.expand(n, key)
		if !ok {
			return 0
		}
		if parsed, err := time.ParseDuration(text); err == nil && parsed > 0 {
			return parsed
		}
	}
	d.fault(key, "must be a positive duration with its unit", "write it like 30s, 15m or 720h")
	return 0
}

// text reads a string. Numbers and the like are refused rather than turned into text: YAML changes them (007, 1e3, no).
func (d *decoder) text(n *yaml.Node, key string) string {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		d.fault(key, "must be a text", "give it one text; put quotes around it if it looks like a number, a date or true/false")
		return ""
	}
	text, _ := d.expand(n, key)
	return text
}

// child is the path of a key below another.
func child(key, name string) string {
	plain := name != "" && len(name) <= 60
	for _, r := range name {
		plain = plain && (r == '_' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z')
	}
	if !plain {
		name = shown(name)
	}
	if key == "" {
		return name
	}
	return key + "." + name
}
