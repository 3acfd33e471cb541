package config

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/phantomgate/phantomgate/authserver/internal/seal"
)

// NewDataKey makes a fresh data key in the form that `data_key` wants.
func NewDataKey() string {
	key := make([]byte, seal.KeySize)
	_, _ = rand.Read(key) // never fails: it ends the program instead
	return base64.StdEncoding.EncodeToString(key)
}

func decodeDataKey(text string) ([]byte, error) {
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(key) != seal.KeySize {
		return nil, fmt.Errorf("not %d bytes in base64", seal.KeySize)
	}
	return key, nil
}

func checkDataKey(d *decoder, c *Config) {
	const fix = "make one with `authserver datakey`, and keep it apart from the database and its backups"
	if !c.DataKey.IsSet() {
		d.fault(dataKeyKey, "is missing", fix+"; name it as {file: …} or {env: …}")
		return
	}
	kept := c.DataKey.kept
	if kept.createdLater() {
		if _, err := os.Stat(c.Storage.SQLite); c.Storage.SQLite != "" && err == nil {
			d.fault("data_key.file", "is not there, but the database is: a new key could not open what the old one sealed",
				"put the key back; or, to begin anew, remove the database")
		}
		return
	}
	if _, err := decodeDataKey(kept.value); err != nil {
		d.fault(dataKeyKey+"."+kept.source, "leads to no data key: it must be 32 bytes in base64", fix)
	}
}

// OpenDataKey gives the data key. When the configuration permits it (`create: true`) and there was none, it makes one
// first; of several processes that do so at once, all get the same one.
func (c Config) OpenDataKey() (seal.Key, error) {
	key, err := c.dataKey()
	if err != nil {
		return seal.Key{}, err
	}
	return seal.NewKey(key)
}

// OpenMAC gives a MAC that is derived from the data key for one purpose, as OpenDataKey does.
func (c Config) OpenMAC(purpose string) (seal.MAC, error) {
	key, err := c.dataKey()
	if err != nil {
		return seal.MAC{}, err
	}
	return seal.NewMAC(key, purpose)
}

func (c Config) dataKey() ([]byte, error) {
	if !c.DataKey.IsSet() {
		return nil, errors.New("config: data_key is not set")
	}
	text := c.DataKey.Value()
	if c.DataKey.kept.createdLater() {
		var err error
		if text, err = createDataKey(c.DataKey.kept.file); err != nil {
			return nil, fmt.Errorf("config: data_key.file: could not be created: %w", err)
		}
	}
	key, err := decodeDataKey(text)
	if err != nil {
		return nil, fmt.Errorf("config: data_key: %w", err)
	}
	return key, nil
}

// createDataKey writes a fresh key beside its place, makes it durable, and only then gives it its name: a power cut
// leaves a whole key or none, and a name that exists is never overwritten.
func createDataKey(path string) (string, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	draft, err := os.CreateTemp(dir, ".datakey-") // 0600
	if err != nil {
		return "", err
	}
	defer os.Remove(draft.Name())
	_, err = draft.WriteString(NewDataKey() + "\n")
	err = errors.Join(err, draft.Sync(), draft.Close())
	if err != nil {
		return "", err
	}
	if err := os.Link(draft.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	if err := syncDir(dir); err != nil {
		return "", err
	}
	data, err := readFile(path) // ours, or that of whoever was first
	return strings.TrimSpace(string(data)), err
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
