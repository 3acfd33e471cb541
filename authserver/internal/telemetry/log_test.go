package telemetry_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/phantomgate/phantomgate/authserver/internal/telemetry"
)

func TestLinesNameTheirRequest(t *testing.T) {
	var out bytes.Buffer
	log := telemetry.Logger(slog.NewTextHandler(&out, nil))
	ctx := telemetry.WithRequestID(t.Context(), "r1")
	for name, write := range map[string]func(){
		"plain":           func() { log.InfoContext(ctx, "x") },
		"with attributes": func() { log.With("part", "p").InfoContext(ctx, "x") },
		"with a group":    func() { log.WithGroup("g").InfoContext(ctx, "x", "a", 1) },
	} {
		out.Reset()
		if write(); !strings.Contains(out.String(), "request_id=r1") {
			t.Errorf("%s: %s", name, out.String())
		}
	}
	out.Reset()
	if log.InfoContext(context.Background(), "x"); strings.Contains(out.String(), "request_id") {
		t.Errorf("a line without a request names one: %s", out.String())
	}
}
