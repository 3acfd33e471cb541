package main

import (
	"context"
	"log/slog"

	"github.com/sirupsen/logrus"
)

// slogFor returns a logger that writes to Tyk's.
func slogFor(l *logrus.Logger) *slog.Logger {
	return slog.New(logHandler{entry: l.WithField("prefix", "phantomgate")})
}

// logHandler hands what is logged to logrus, whose level decides.
type logHandler struct {
	entry *logrus.Entry
	group string // a prefix of keys
}

func (h logHandler) Enabled(_ context.Context, level slog.Level) bool {
	return h.entry.Logger.IsLevelEnabled(logrusLevel(level))
}

func (h logHandler) Handle(_ context.Context, record slog.Record) error {
	fields := make(logrus.Fields, record.NumAttrs())
	record.Attrs(func(a slog.Attr) bool {
		h.add(fields, a)
		return true
	})
	h.entry.WithTime(record.Time).WithFields(fields).Log(logrusLevel(record.Level), record.Message)
	return nil
}

func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	fields := make(logrus.Fields, len(attrs))
	for _, a := range attrs {
		h.add(fields, a)
	}
	return logHandler{entry: h.entry.WithFields(fields), group: h.group}
}

func (h logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return logHandler{entry: h.entry, group: h.group + name + "."}
}

func (h logHandler) add(fields logrus.Fields, a slog.Attr) {
	value := a.Value.Resolve()
	if value.Kind() == slog.KindGroup {
		inner := h
		if a.Key != "" {
			inner.group += a.Key + "."
		}
		for _, member := range value.Group() {
			inner.add(fields, member)
		}
		return
	}
	fields[h.group+a.Key] = value.Any()
}

func logrusLevel(level slog.Level) logrus.Level {
	switch {
	case level >= slog.LevelError:
		return logrus.ErrorLevel
	case level >= slog.LevelWarn:
		return logrus.WarnLevel
	case level >= slog.LevelInfo:
		return logrus.InfoLevel
	}
	return logrus.DebugLevel
}
