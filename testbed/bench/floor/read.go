package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// reader answers a form's `token` with a JWT about the row of that name, as the one who asks about every token does.
type reader struct {
	find *sql.Stmt
	key  *ecdsa.PrivateKey
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
	if err := fill(ctx, db, o.rows, o.width); err != nil {
		return nil, nil, err
	}
	find, err := db.PrepareContext(ctx, findRow)
	if err != nil {
		return nil, nil, err
	}
	return &reader{find, key}, db.Close, nil
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
	var c claims
	var amr string
	var authTime, expires int64
	err = rd.find.QueryRowContext(context.Background(), hash[:]).Scan(&c.ID, &c.Subject, &c.ClientID, &c.Scope,
		&authTime, &c.ACR, &amr, &c.Region, &expires)
	now := time.Now()
	if err != nil || now.Unix() >= expires {
		return "", errors.Join(err, errors.New("no such token"))
	}
	c.Issuer, c.Audience, c.AMR, c.AuthTime = "http://127.0.0.1:65535", jwt.ClaimStrings{"eventcatalog"}, strings.Fields(amr), authTime
	c.IssuedAt, c.ExpiresAt = jwt.NewNumericDate(now), jwt.NewNumericDate(now.Add(5*time.Minute))
	return rd.sign(c)
}

// claims are as many and as long as those of a user's phantom token.
type claims struct {
	jwt.RegisteredClaims
	ClientID string   `json:"client_id"`
	Scope    string   `json:"scope"`
	AuthTime int64    `json:"auth_time"`
	ACR      string   `json:"acr"`
	AMR      []string `json:"amr"`
	Region   string   `json:"region"`
}

func (rd *reader) sign(c claims) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodES256, c)
	token.Header["typ"], token.Header["kid"] = "at+jwt", "0000000000000000000000000000000000000000000"
	return token.SignedString(rd.key)
}
