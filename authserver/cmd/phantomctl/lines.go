package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

const (
	// batchSize is how many references the admin API takes at once.
	batchSize = 1000
	// longestReference is the longest line that is sent, in bytes. A reference has 54; a jti may be somebody else's.
	longestReference = 255
)

// place is how far a file has been read: only whole lines count.
type place struct {
	Offset int64  `json:"offset"` // bytes
	Lines  int64  `json:"lines"`
	SHA256 string `json:"sha256"` // of all bytes before the offset, so that it is seen when the file is another one
}

// batch is what is sent at once.
type batch struct {
	references []string
	unusable   int64 // lines that can be no reference
	first      int64 // the line of the first of those; 0: none
	end        place
	err        error // reading ended here: io.EOF, or a fault
}

// lines reads a file of references, in as much memory as a batch takes, whatever the file is.
type lines struct {
	r      *bufio.Reader
	hash   hash.Hash // of what was taken
	offset int64
	count  int64
	line   int64 // the number of the line that was given last
}

func readLines(r io.Reader) *lines {
	return &lines{r: bufio.NewReader(r), hash: sha256.New()}
}

// skip goes to where an earlier run ended, by reading: a pipe cannot do otherwise, and what is read is compared.
func (l *lines) skip(to place) error {
	n, err := io.CopyN(l.hash, l.r, to.Offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	l.offset, l.count = n, to.Lines
	if n < to.Offset || l.place().SHA256 != to.SHA256 {
		return errors.New("this is not the file that the progress is about, or its beginning has changed")
	}
	return nil
}

func (l *lines) place() place {
	return place{Offset: l.offset, Lines: l.count, SHA256: hex.EncodeToString(l.hash.Sum(nil))}
}

// batch reads up to a batch of references. The last one carries io.EOF.
func (l *lines) batch() batch {
	var b batch
	for len(b.references) < batchSize {
		line, usable, err := l.next()
		if err != nil {
			b.err = err
			break
		}
		switch {
		case usable && (len(line) == 0 || line[0] == '#'):
		case usable && isReference(line):
			b.references = append(b.references, string(line))
		default:
			if b.unusable++; b.first == 0 {
				b.first = l.line
			}
		}
	}
	b.end = l.place()
	return b
}

// next gives the next line without its end and the spaces around it, until it is called again; of one that is too long,
// nothing but that.
//
// A last line without an end does not count as read: whoever writes the file may not have written all of it. It is given all
// the same, and given again by the next run.
func (l *lines) next() (line []byte, usable bool, err error) {
	tooLong := false
	l.line = l.count + 1
	for {
		piece, err := l.r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			l.take(piece)
			tooLong = true
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return nil, false, fmt.Errorf("reading: %w", err)
		case err != nil && len(piece) == 0 && !tooLong:
			return nil, false, io.EOF
		case err == nil || tooLong:
			l.take(piece)
			l.count++
		}
		if tooLong {
			return nil, false, nil
		}
		// Some editors begin a file with a mark that it is UTF-8.
		return bytes.TrimSpace(bytes.TrimPrefix(piece, []byte("\ufeff"))), true, nil
	}
}

func (l *lines) take(piece []byte) {
	l.hash.Write(piece)
	l.offset += int64(len(piece))
}

// isReference tells whether a line may be a reference or a jti: the characters of a bearer token (RFC 6750, 2.1).
func isReference(line []byte) bool {
	return len(line) <= longestReference && bytes.IndexFunc(line, func(c rune) bool {
		return (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && !strings.ContainsRune("-._~+/=", c)
	}) < 0
}
