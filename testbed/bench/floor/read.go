package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strconv"
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
	var value []byte
	if err := rd.find.QueryRowContext(context.Background(), hash[:]).Scan(&value); err != nil {
		return "", err
	}
	return rd.sign(value)
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

func (rd *reader) sign(row []byte) (string, error) {
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: "http://127.0.0.1:65535", Subject: "u_00000000000000000000000000", Audience: jwt.ClaimStrings{"eventcatalog"},
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(5 * time.Minute)), ID: string(row[:26]),
		},
		ClientID: "mobile", Scope: "eventcatalog.read", AuthTime: now.Unix(),
		ACR: "urn:phantomgate:acr:password", AMR: []string{"pwd"}, Region: "eu",
	})
	token.Header["typ"], token.Header["kid"] = "at+jwt", "0000000000000000000000000000000000000000000"
	return token.SignedString(rd.key)
}
