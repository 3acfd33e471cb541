package main

import (
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

// The consumers, each with a folder of its own. The issuer knows everybody's secret, and people's passwords as hashes only.
const (
	issuer  = "issuer"
	gateway = "gateway"
	basket  = "shoppingbasket"
	account = "account"
	tyk     = "tyk"    // the profile of that name
	people  = "people" // what a person is shown; no running container has it
)

// clients have a secret at the issuer, by id, and these hold it too.
var clients = map[string][]string{
	"gateway":        {gateway, tyk},
	"spa":            {gateway},
	"shoppingbasket": {basket},
	"operator":       {account},
	"partner":        {people},
	"batch":          {people},
}

// users sign in with a password.
var users = []string{"alice", "bob", "olga"}

// passwordCost is the least cost of bcrypt that the issuer takes: nobody guesses 80 random bits, however fast they try.
const passwordCost = 10

//go:embed tyk.conf
var tykConf string

// folder holds the consumers' folders.
type folder string

func (f folder) path(consumer, name string) string { return filepath.Join(string(f), consumer, name) }

// make makes what is missing, and says so without saying what it is.
func (f folder) make(out io.Writer) error {
	made := 0
	for id, holders := range clients {
		n, err := f.makeClient(id, holders)
		if err != nil {
			return err
		}
		made += n
	}
	for _, login := range users {
		n, err := f.makeUser(login)
		if err != nil {
			return err
		}
		made += n
	}
	for _, file := range []func() (int, error){f.makeCookieKey, f.makeTykConf} {
		n, err := file()
		if err != nil {
			return err
		}
		made += n
	}
	if made == 0 {
		fmt.Fprintln(out, "Every secret is there already, and is kept.")
	} else {
		fmt.Fprintf(out, "Made %d secrets, each in the volume of who needs it.\n", made)
	}
	fmt.Fprintln(out, "Passwords to sign in with: docker compose run --rm setup passwords")
	return nil
}

// makeClient makes a client's secret. The issuer's file decides; who lost theirs gets it again.
func (f folder) makeClient(id string, holders []string) (made int, err error) {
	name := id + ".secret"
	secret, err := f.read(issuer, name)
	if err != nil {
		return 0, err
	}
	if secret == "" {
		secret, made = rand.Text()+rand.Text(), 1
	}
	// The issuer last: until it has the secret, nobody does.
	for _, consumer := range append(holders[:len(holders):len(holders)], issuer) {
		if err := f.keep(consumer, name, secret); err != nil {
			return 0, err
		}
	}
	return made, nil
}

// makeUser makes a password and its hash. A hash without its password could be shown to nobody, so both are made anew.
func (f folder) makeUser(login string) (made int, err error) {
	password, err := f.read(people, login+".password")
	if err != nil {
		return 0, err
	}
	kept, err := f.read(issuer, login+".bcrypt")
	if err != nil {
		return 0, err
	}
	if password != "" && bcrypt.CompareHashAndPassword([]byte(kept), []byte(password)) == nil {
		return 0, nil
	}
	if password == "" {
		password = newPassword()
	}
	if err := f.keep(people, login+".password", password); err != nil {
		return 0, err
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(password), passwordCost)
	if err != nil {
		return 0, err
	}
	return 1, f.keep(issuer, login+".bcrypt", string(hash))
}

// newPassword is 80 random bits that a person can type.
func newPassword() string {
	text := strings.ToLower(rand.Text()) // 26 letters and digits of 5 bits each
	return strings.Join([]string{text[0:4], text[4:8], text[8:12], text[12:16]}, "-")
}

func (f folder) makeCookieKey() (made int, err error) {
	const name = "cookie.key"
	if kept, err := f.read(gateway, name); kept != "" || err != nil {
		return 0, err
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	return 1, f.keep(gateway, name, base64.StdEncoding.EncodeToString(key))
}

// makeTykConf makes the configuration of the Tyk gateway, which can read its control API's secret from nowhere else. All but that
// secret is as it is today.
func (f folder) makeTykConf() (made int, err error) {
	const name = "tyk.conf"
	kept, err := f.read(tyk, name)
	if err != nil {
		return 0, err
	}
	var conf struct{ Secret string }
	if json.Unmarshal([]byte(kept), &conf) != nil || conf.Secret == "" {
		made, conf.Secret = 1, rand.Text()
	}
	return made, f.keep(tyk, name, strings.TrimSpace(strings.Replace(tykConf, "${SECRET}", conf.Secret, 1)))
}

// read gives a secret, or "" when it is not there yet.
func (f folder) read(consumer, name string) (string, error) {
	content, err := os.ReadFile(f.path(consumer, name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return strings.TrimSpace(string(content)), err
}

// keep writes a secret, for its owner alone, unless it stands there already. It is there whole or not at all.
func (f folder) keep(consumer, name, secret string) error {
	if kept, err := f.read(consumer, name); kept == secret || err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Join(string(f), consumer), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = file.WriteString(secret + "\n")
	if err = errors.Join(err, file.Sync(), file.Close()); err == nil {
		err = os.Rename(file.Name(), f.path(consumer, name))
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
