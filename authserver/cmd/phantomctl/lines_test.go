package main

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestLines(t *testing.T) {
	long := strings.Repeat("x", longestReference+1)
	for name, c := range map[string]struct {
		text       string
		references []string
		unusable   int64
		first      int64
		lines      int64 // read for good
	}{
		"nothing":              {"", nil, 0, 0, 0},
		"one":                  {"a\n", []string{"a"}, 0, 0, 1},
		"no end":               {"a\nb", []string{"a", "b"}, 0, 0, 1},
		"unusable, no end":     {"a\nb,", []string{"a"}, 1, 2, 1},
		"blanks and notes":     {"\n \t\n# a,b\n  # c\n a \r\n\r\n", []string{"a"}, 0, 0, 6},
		"a mark of UTF-8":      {"\ufeffa\nb\n", []string{"a", "b"}, 0, 0, 2},
		"a mark and a note":    {"\ufeff# a\nb\n", []string{"b"}, 0, 0, 2},
		"just short enough":    {long[1:] + "\n", []string{long[1:]}, 0, 0, 1},
		"too long":             {"a\n" + long + "\nb\n", []string{"a", "b"}, 1, 2, 3},
		"beyond the buffer":    {"a\n" + strings.Repeat(long, 100) + "\nb\n", []string{"a", "b"}, 1, 2, 3},
		"the same, no end":     {strings.Repeat("x", 4096), nil, 1, 1, 1},
		"a long note":          {"#" + strings.Repeat(long, 100) + "\na\n", []string{"a"}, 1, 1, 2},
		"not a token's letter": {"a b\n\"a\"\na,\nä\n\x00\na\xff\n", nil, 6, 1, 6},
		"UTF-16":               {"\xff\xfea\x00\n\x00", nil, 2, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			b := readLines(iotest.OneByteReader(strings.NewReader(c.text))).batch()
			if !errors.Is(b.err, io.EOF) || !slices.Equal(b.references, c.references) || b.unusable != c.unusable || b.first != c.first || b.end.Lines != c.lines {
				t.Errorf("%+v", b)
			}
		})
	}
}

// TestEveryPlaceCanBeGoneOnFrom: wherever a run ends, the next one reads the rest.
func TestEveryPlaceCanBeGoneOnFrom(t *testing.T) {
	var text bytes.Buffer
	for i := range 3*batchSize + 7 {
		text.WriteString(strings.Repeat("a", i%300) + "\n")
	}
	whole := readLines(bytes.NewReader(text.Bytes()))
	for end := false; !end; {
		b := whole.batch()
		end = b.err != nil
		rest := readLines(bytes.NewReader(text.Bytes()))
		if err := rest.skip(b.end); err != nil {
			t.Fatal(err)
		}
		if offset := int(b.end.Offset); offset != text.Len() {
			want := readLines(bytes.NewReader(text.Bytes()[offset:])).batch()
			if got := rest.batch(); !slices.Equal(got.references, want.references) {
				t.Errorf("after %d bytes it goes on elsewhere", offset)
			}
		}
		changed := bytes.Clone(text.Bytes())
		changed[b.end.Offset/2] ^= 1
		if err := readLines(bytes.NewReader(changed)).skip(b.end); err == nil {
			t.Error("a changed file is taken for the same")
		}
	}
}

// TestMemoryIsBounded: by a batch, not by what the file is.
func TestMemoryIsBounded(t *testing.T) {
	const size = 64 << 20
	for name, pattern := range map[string]string{"one line": "x", "notes": "# note\n", "blank": "\n"} {
		var before, after runtime.MemStats
		source := io.LimitReader(endless(strings.Repeat(pattern, 8<<10)), size)
		runtime.ReadMemStats(&before)
		b := readLines(source).batch()
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 1<<20 || len(b.references) != 0 || !errors.Is(b.err, io.EOF) {
			t.Errorf("%s: %d bytes were taken to read %d (%v)", name, grown, size, b.err)
		}
	}
}

// endless gives the same text again and again.
type endless string

func (e endless) Read(p []byte) (int, error) { return copy(p, e), nil }
