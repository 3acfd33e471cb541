// Package jsonhttp reads and writes the JSON that the demo's APIs speak, strictly and in one form.
package jsonhttp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
)

// maxBodyBytes is far more than anything that these APIs take.
const maxBodyBytes = 4 << 10

// Answer writes a value that nobody may keep.
func Answer(w http.ResponseWriter, status int, value any) {
	body, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		Refuse(w, http.StatusInternalServerError, "server_error", "the answer could not be written")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the client has gone if this fails
}

// Refuse writes an error in the form of RFC 6749, 5.2.
func Refuse(w http.ResponseWriter, status int, code, description string) {
	Answer(w, status, map[string]string{"error": code, "error_description": description})
}

// Read reads the body's one JSON object into a struct and nothing besides; it refuses members that the struct has not. When
// it is false, it has answered.
func Read(w http.ResponseWriter, r *http.Request, into any) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" {
		Refuse(w, http.StatusUnsupportedMediaType, "unsupported_media_type", "send application/json")
		return false
	}
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	dec.DisallowUnknownFields()
	err = dec.Decode(into)
	if err == nil {
		if _, end := dec.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("something follows the object")
		}
	}
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		Refuse(w, http.StatusRequestEntityTooLarge, "invalid_request", fmt.Sprintf("send at most %d bytes", maxBodyBytes))
	case err != nil:
		Refuse(w, http.StatusBadRequest, "invalid_request", "the body is not understood: "+err.Error())
	}
	return err == nil
}
