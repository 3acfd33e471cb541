package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// progress is what has become of a file of leaked references so far. Its own file holds no reference.
type progress struct {
	Issuer string `json:"issuer"`
	place
	Sent     int64 `json:"sent"`
	Revoked  int64 `json:"revoked"`
	Ended    int64 `json:"ended"`
	Unknown  int64 `json:"unknown"`
	Unusable int64 `json:"unusable"`       // lines that can be no reference
	First    int64 `json:"first_unusable"` // the line of the first of those; 0: none
	Sequence int64 `json:"sequence"`       // of the last revocation; 0: none yet
}

// add counts an answered batch.
func (p *progress) add(b batch, told leakedAnswer) {
	p.place = b.end
	p.Sent += int64(len(b.references))
	p.Revoked += told.Revoked
	p.Ended += told.Ended
	p.Unknown += told.Unknown
	p.Unusable += b.unusable
	if p.First == 0 {
		p.First = b.first
	}
	p.Sequence = max(p.Sequence, told.Sequence)
}

// loadProgress gives nil when there is none. Progress that was made at another issuer is refused: going on would leave alone
// what this one knows.
func loadProgress(file, issuer string) (*progress, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || file == "" {
		return nil, nil
	}
	if err != nil {
		return nil, usagef("%w; make it readable, or name another file with --progress", err)
	}
	var p progress
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil || p.Issuer == "" || p.Offset < 0 {
		return nil, usagef("%s is not the progress of such a run; name another file with --progress, or remove it to begin at the start", file)
	}
	if p.Issuer != issuer {
		return nil, usagef("%s is of a run at %s; name another file with --progress for %s", file, clean(p.Issuer), issuer)
	}
	return &p, nil
}

// save replaces the file at once: whenever the machine stops, the old progress is there or the new one.
func (p *progress) save(file string) error {
	if file == "" {
		return nil
	}
	data, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := writeSynced(file+".tmp", append(data, '\n')); err != nil {
		return fmt.Errorf("the progress could not be kept: %w; name another file with --progress", err)
	}
	if err := os.Rename(file+".tmp", file); err != nil {
		return fmt.Errorf("the progress could not be kept: %w; name another file with --progress", err)
	}
	return nil
}

func writeSynced(name string, data []byte) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Sync(), file.Close())
}
