package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// hastyKeys has a new key sign every two seconds, published one second ahead: far shorter than gateways keep what they fetched, so
// that each time they meet a key that they do not know.
const hastyKeys = "\nsigning_keys: {publish_ahead: 1s, rotate_every: 2s}\n"

// keyRotation revokes before two gateways under load, until so many keys have signed. more goes wrong on the way to the issuer.
func keyRotation(keys int, more faults) func(context.Context, *lab) (outcome, error) {
	return func(ctx context.Context, l *lab) (o outcome, err error) {
		f, err := l.setUp(ctx, setup{gateways: 2, issuer: hastyKeys})
		if err != nil {
			return o, err
		}
		defer func() { err = errors.Join(err, f.close()) }()
		for _, r := range f.replicas {
			r.link.set(more)
		}
		loading, end := context.WithCancel(ctx)
		var running sync.WaitGroup
		loads := make([]outcome, len(f.replicas))
		errs := make([]error, len(f.replicas))
		for n, r := range f.replicas {
			running.Go(func() { loads[n], errs[n] = f.load(loading, r) })
		}
		o, err = f.whileKeysRotate(ctx, keys)
		end()
		running.Wait()
		for _, load := range loads {
			o.add(load)
		}
		return o, errors.Join(append(errs, err)...)
	}
}

// whileKeysRotate revokes one token after the other until so many keys have signed.
func (f *field) whileKeysRotate(ctx context.Context, keys int) (o outcome, err error) {
	signed := map[string]bool{}
	for limit := time.Now().Add(time.Minute + time.Duration(keys)*10*time.Second); len(signed) < keys; {
		if time.Now().After(limit) {
			return o, fmt.Errorf("only %d keys signed", len(signed))
		}
		more, err := f.try(ctx, trial{settle: 20 * time.Millisecond})
		if err != nil {
			return o, err
		}
		o.add(more)
		key, err := f.issuer.signingKey(f.living)
		if err != nil {
			return o, err
		}
		signed[key] = true
	}
	return o, nil
}

// load asks about new tokens, each of which the issuer signs a phantom token for, twenty at a time.
func (f *field) load(ctx context.Context, r *replica) (o outcome, err error) {
	for ctx.Err() == nil {
		reference, err := f.issuer.token("batch")
		if err != nil {
			return o, err
		}
		for range 20 {
			switch status := r.ask(ctx, reference); {
			case ctx.Err() != nil:
				return o, nil
			case status == http.StatusUnauthorized:
				o.falseRefusals++
			case status != http.StatusOK:
				o.unavailable++
			}
		}
	}
	return o, nil
}

// signingKey names the key by which the issuer signs a phantom token for this reference now.
func (i *issuer) signingKey(reference string) (string, error) {
	form := url.Values{"client_id": {"gateway"}, "client_secret": {"gateway-demo-secret"}, "token": {reference}}
	req, err := http.NewRequest(http.MethodPost, "http://"+i.addr+"/oauth/introspect", strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/jwt")
	resp, err := i.http.Do(req)
	phantom, err := body(resp, err)
	if err != nil {
		return "", err
	}
	head, _, _ := strings.Cut(string(phantom), ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	var header struct {
		Key string `json:"kid"`
	}
	return header.Key, errors.Join(err, json.Unmarshal(text, &header))
}
