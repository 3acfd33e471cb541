package tokens

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
)

// valueCode is the first byte of an encoded value: another encoding gets another number.
const valueCode = 1

var errValueCode = errors.New("tokens: a value is not encoded as it should be")

// encode writes a value as numbers and texts in a fixed order, each text with its length before it. It is read at every
// introspection, and JSON takes ten times as long to read.
func (v Value) encode() []byte {
	b := []byte{valueCode}
	b = binary.AppendVarint(b, v.AuthTime)
	b = appendText(b, v.ACR)
	b = appendText(b, strings.Join(v.AMR, " "))
	b = appendText(b, v.SessionID)
	b = binary.AppendUvarint(b, uint64(len(v.Claims)))
	for _, name := range slices.Sorted(maps.Keys(v.Claims)) {
		b = appendText(b, name)
		b = appendText(b, string(v.Claims[name]))
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// decodeValue reads what encode wrote, and nothing else. The value keeps b.
func decodeValue(b []byte) (Value, error) {
	if len(b) == 0 || b[0] != valueCode {
		return Value{}, errValueCode
	}
	r := valueReader{rest: b[1:]}
	v := Value{AuthTime: r.number(), ACR: string(r.text()), AMR: strings.Fields(string(r.text())), SessionID: string(r.text())}
	if len(v.AMR) == 0 {
		v.AMR = nil
	}
	n := r.length()
	if n > 0 && !r.broken {
		v.Claims = make(map[string]json.RawMessage, n)
	}
	for range n {
		name := string(r.text())
		v.Claims[name] = r.text()
	}
	if r.broken || len(r.rest) > 0 || len(v.Claims) != n {
		return Value{}, errValueCode
	}
	return v, nil
}

// valueReader takes numbers and texts off rest. Once broken, it gives nothing but zeros.
type valueReader struct {
	rest   []byte
	broken bool
}

func (r *valueReader) number() int64 {
	number, n := binary.Varint(r.rest)
	return number * int64(r.took(n))
}

// length is never more than what is left: a text has at least its own length to show.
func (r *valueReader) length() int {
	number, n := binary.Uvarint(r.rest)
	if r.took(n) == 0 || number > uint64(len(r.rest)) {
		r.broken = true
		return 0
	}
	return int(number)
}

func (r *valueReader) text() []byte {
	n := r.length()
	text := r.rest[:n:n]
	r.rest = r.rest[n:]
	return text
}

// took moves on by n bytes and gives 1, or breaks and gives 0.
func (r *valueReader) took(n int) int {
	if n <= 0 || r.broken {
		r.broken, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[n:]
	return 1
}
