package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
)

// decodeStrict fills the struct that target points to and returns every fault it meets: encoding/json stops at the
// first, takes doubled keys and keys in any case, and treats null as absent. What could be read is in target even when
// there are faults; unread names the fields of which nothing is. The schema has objects, lists, strings, whole numbers,
// booleans, and types that read themselves.
func decodeStrict(data []byte, target any) (faults []*Fault, unread []string) {
	if err := checkSyntax(data); err != nil {
		return []*Fault{{Problem: err.Error()}}, []string{""}
	}
	if trimmed := bytes.TrimSpace(data); trimmed[0] != '{' {
		return []*Fault{{Problem: "must be a JSON object"}}, []string{""}
	}
	d := strictDecoder{}
	d.value(data, reflect.ValueOf(target).Elem(), "")
	return d.faults, d.unread
}

func checkSyntax(data []byte) error {
	var raw json.RawMessage
	err := json.Unmarshal(data, &raw)
	if err == nil {
		return nil
	}
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return fmt.Errorf("not JSON: %w", err)
	}
	before := data[:min(int(syntax.Offset), len(data))]
	return fmt.Errorf("not JSON: line %d: %w", 1+bytes.Count(before, []byte("\n")), err)
}

type strictDecoder struct {
	faults []*Fault
	unread []string
}

func (d *strictDecoder) fault(field, format string, args ...any) {
	d.faults = append(d.faults, &Fault{Field: field, Problem: fmt.Sprintf(format, args...)})
}

// skip reports a field whose value is not taken.
func (d *strictDecoder) skip(field, format string, args ...any) {
	d.fault(field, format, args...)
	d.unread = append(d.unread, field)
}

// value reads one JSON value into v. raw is known to be well formed.
func (d *strictDecoder) value(raw json.RawMessage, v reflect.Value, field string) {
	raw = bytes.TrimSpace(raw)
	if string(raw) == "null" {
		d.skip(field, "must not be null; leave the key out")
		return
	}
	if u, ok := v.Addr().Interface().(json.Unmarshaler); ok {
		if err := u.UnmarshalJSON(raw); err != nil {
			d.skip(field, "%v", err)
		}
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(raw, v.Elem(), field)
	case reflect.Struct:
		d.object(raw, v, field)
	case reflect.Slice:
		d.list(raw, v, field)
	default:
		d.scalar(raw, v, field)
	}
}

func (d *strictDecoder) scalar(raw json.RawMessage, v reflect.Value, field string) {
	if err := json.Unmarshal(raw, v.Addr().Interface()); err != nil {
		want := map[reflect.Kind]string{reflect.String: "a string in quotes", reflect.Bool: "true or false"}[v.Kind()]
		if want == "" {
			want = "a whole number"
		}
		d.skip(field, "must be %s", want)
		return
	}
	// Every number of the schema has a default that a zero would silently bring back.
	if v.CanInt() && v.Int() <= 0 {
		d.skip(field, "must be above zero; leave the key out for the default")
	}
}

func (d *strictDecoder) list(raw json.RawMessage, v reflect.Value, field string) {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		d.skip(field, "must be a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		d.value(item, v.Index(i), fmt.Sprintf("%s[%d]", field, i))
	}
}

func (d *strictDecoder) object(raw json.RawMessage, v reflect.Value, field string) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		d.skip(field, "must be an object in braces")
		return
	}
	keys, index := jsonKeys(v.Type())
	seen := map[string]bool{}
	for dec.More() {
		token, _ := dec.Token() // the syntax has been checked: a key is a string
		key, _ := token.(string)
		var member json.RawMessage
		if err := dec.Decode(&member); err != nil {
			d.skip(field, "%v", err)
			return
		}
		at := key
		if field != "" {
			at = field + "." + key
		}
		i, known := index[key]
		switch {
		case !known:
			d.fault(at, "unknown key; known here: %s", strings.Join(keys, ", "))
		case seen[key]:
			d.fault(at, "given twice; keep one")
		default:
			d.value(member, v.Field(i), at)
		}
		seen[key] = true
	}
}

// jsonKeys returns the keys of a struct in their order, and the field each belongs to.
func jsonKeys(t reflect.Type) (keys []string, index map[string]int) {
	index = make(map[string]int, t.NumField())
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		keys = append(keys, name)
		index[name] = i
	}
	return keys, index
}
