package main

import (
	"fmt"
	"os"
	"sync"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
)

// logSink is where log lines go. A file can be reopened after it was rotated away.
type logSink struct {
	path string // empty for standard error

	mu   sync.Mutex
	file *os.File
}

func openLogSink(path string) (*logSink, error) {
	s := &logSink{path: path, file: os.Stderr}
	return s, s.Reopen()
}

// Reopen opens the file again under its name. On failure the old file stays in use.
func (s *logSink) Reopen() error {
	if s.path == "" {
		return nil
	}
	file, err := os.OpenFile(s.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	if err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != os.Stderr {
		s.file.Close()
	}
	s.file = file
	return nil
}

func (s *logSink) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file.Write(b)
}

// Sync does nothing: a line is in the kernel's hands once Write returns, and
// standard error can often not be synced at all.
func (s *logSink) Sync() error { return nil }

func (s *logSink) terminal() bool { return s.path == "" && term.IsTerminal(int(os.Stderr.Fd())) }

// logLevel translates the debug setting of the configuration: 0 critical errors
// only, 1 errors, 2 warnings, 3 information, 4 and 5 everything.
func logLevel(debug int) zapcore.Level {
	switch {
	case debug <= 1:
		return zapcore.ErrorLevel
	case debug == 2:
		return zapcore.WarnLevel
	case debug == 3:
		return zapcore.InfoLevel
	default:
		return zapcore.DebugLevel
	}
}

// newLogger writes text to a terminal and JSON to everything else, unless format
// ("text" or "json") says otherwise.
func newLogger(sink *logSink, level zap.AtomicLevel, format string) *zap.Logger {
	cfg := zap.NewProductionEncoderConfig()
	cfg.EncodeTime = zapcore.ISO8601TimeEncoder
	cfg.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(cfg)
	if format == "text" || format == "" && sink.terminal() {
		cfg.EncodeLevel = zapcore.CapitalLevelEncoder
		encoder = zapcore.NewConsoleEncoder(cfg)
	}
	return zap.New(zapcore.NewCore(encoder, sink, level))
}
