package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strconv"

	"github.com/golang-jwt/jwt/v5"
)

// header is as long as that of a phantom token.
const header = `{"alg":"ES256","kid":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","typ":"at+jwt"}`

// reader answers a form's `token` with a JWT about the row of that name.
type reader struct {
	find   *sql.Stmt
	key    *ecdsa.PrivateKey
	claims int
}

func newReader(ctx context.Context, o options) (http.Handler, func() error, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	db, err := openDatabase(o.database, max(4, 2*runtime.GOMAXPROCS(0)))
	if err != nil {
		return nil, nil, err
	}
	if err := fill(ctx, db, o.rows, max(o.width, o.claims)); err != nil {
		return nil, nil, err
	}
	find, err := db.PrepareContext(ctx, findRow)
	if err != nil {
		return nil, nil, err
	}
	return &reader{find, key, o.claims}, db.Close, nil
}

func (rd *reader) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	token, err := rd.token(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/jwt")
	w.Header().Set("Content-Length", strconv.Itoa(len(token)))
	_, _ = io.WriteString(w, token) // a client that has gone away is no fault of ours
}

func (rd *reader) token(r *http.Request) (string, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return "", err
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return "", err
	}
	hash := sha256.Sum256([]byte(form.Get("token")))
	var value []byte
	if err := rd.find.QueryRowContext(context.Background(), hash[:]).Scan(&value); err != nil {
		return "", err
	}
	return sign(rd.key, value[:rd.claims])
}

// sign makes a JWT of claims, which are taken as they are.
func sign(key *ecdsa.PrivateKey, claims []byte) (string, error) {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode(claims)
	signature, err := jwt.SigningMethodES256.Sign(text, key)
	if err != nil {
		return "", err
	}
	return text + "." + encode(signature), nil
}
