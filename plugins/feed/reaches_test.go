package feed

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// keyText is the key on the wire whose first 64 bits are n.
func keyText(n uint64) string {
	var b [keyBytes]byte
	binary.LittleEndian.PutUint64(b[:], n)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

func TestParseKeys(t *testing.T) {
	a, b := keyText(1), keyText(1<<63+7)
	for name, test := range map[string]struct {
		values []string
		want   Reaches
	}{
		"one":                  {[]string{a + "=0"}, reachesOf(1, 0)},
		"two":                  {[]string{a + "=0, " + b + "=300"}, reachesOf(1, 0, 1<<63+7, 300)},
		"no blank":             {[]string{a + "=0," + b + "=2"}, reachesOf(1, 0, 1<<63+7, 2)},
		"two lines":            {[]string{a + "=1", b + "=2"}, reachesOf(1, 1, 1<<63+7, 2)},
		"the largest":          {[]string{a + "=9223372036854775807"}, reachesOf(1, 1<<63-1)},
		"none":                 {nil, nil},
		"empty":                {[]string{""}, nil},
		"an empty item":        {[]string{a + "=0,,"}, nil},
		"no generation":        {[]string{a}, nil},
		"an empty generation":  {[]string{a + "="}, nil},
		"too large":            {[]string{a + "=9223372036854775808"}, nil},
		"negative":             {[]string{a + "=-1"}, nil},
		"a plus":               {[]string{a + "=+1"}, nil},
		"a zero before":        {[]string{a + "=01"}, nil},
		"hexadecimal":          {[]string{a + "=0x1"}, nil},
		"a blank inside":       {[]string{a + "= 1"}, nil},
		"quoted":               {[]string{`"` + a + `"=1`}, nil},
		"a parameter":          {[]string{a + "=1;x=2"}, nil},
		"a short key":          {[]string{a[1:] + "=1"}, nil},
		"a long key":           {[]string{a + "A=1"}, nil},
		"other base64":         {[]string{strings.Repeat("+", 22) + "=1"}, nil},
		"bits that do not fit": {[]string{strings.Repeat("A", 21) + "B=1"}, nil},
		"too many":             {[]string{strings.Repeat(a+"=0,", mostReaches) + a + "=0"}, nil},
		"too long":             {[]string{a + "=0," + strings.Repeat(" ", mostHeader) + a + "=0"}, nil},
	} {
		got, err := ParseKeys(test.values)
		if string(got) != string(test.want) || (err != nil) != (test.want == nil) {
			t.Errorf("%s: %x, %v; want %x", name, got, err, test.want)
		}
	}
	if got, err := ParseKeys([]string{strings.Repeat(a+"=0,", mostReaches-1) + a + "=0"}); err != nil || len(got) != mostReaches*9 {
		t.Errorf("as many as there may be: %d bytes, %v", len(got), err)
	}
}

func TestParsePosition(t *testing.T) {
	for text, want := range map[string]struct {
		epoch    string
		sequence uint64
	}{
		"9f3c.42": {"9f3c", 42}, "A-z_9.0": {"A-z_9", 0},
		"": {}, "9f3c": {}, "9f3c.": {}, ".42": {}, "9f3c.r42": {}, "9f3c.042": {}, "9f3c.-1": {}, "9f3c.1.2": {}, "9 f.1": {}, "é.1": {},
		"9f3c.9223372036854775808": {}, strings.Repeat("a", mostEpoch+1) + ".1": {},
	} {
		epoch, sequence, err := ParsePosition([]string{text})
		if (err == nil) != (want.epoch != "") || err == nil && (epoch != want.epoch || sequence != want.sequence) {
			t.Errorf("%q: %q, %d, %v", text, epoch, sequence, err)
		}
	}
	for _, values := range [][]string{nil, {"9f3c.42", "9f3c.42"}} {
		if _, _, err := ParsePosition(values); err == nil {
			t.Errorf("%q passed", values)
		}
	}
}

// FuzzHeaders: what is read is what was written, and nothing is read of what is not exactly that.
func FuzzHeaders(f *testing.F) {
	f.Add(keyText(1)+"=0, "+keyText(2)+"=7", "9f3c.42")
	f.Fuzz(func(t *testing.T, keys, position string) {
		if reaches, err := ParseKeys([]string{keys}); err == nil {
			var texts []string
			for rest := reaches; len(rest) > 0; {
				_, generation, left, ok := rest.next()
				if !ok {
					t.Fatalf("%q was packed so that it cannot be read", keys)
				}
				texts = append(texts, fmt.Sprintf("=%d", generation))
				rest = left
			}
			if len(texts) == 0 || len(texts) != strings.Count(keys, "=") || len(texts) > mostReaches {
				t.Errorf("%q has %d keys", keys, len(texts))
			}
		}
		if epoch, sequence, err := ParsePosition([]string{position}); err == nil && fmt.Sprintf("%s.%d", epoch, sequence) != position {
			t.Errorf("%q was read as %s, %d", position, epoch, sequence)
		}
	})
}
