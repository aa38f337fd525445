package main

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

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

// newLogger writes text to a terminal and JSON to files, unless format ("text" or
// "json") says otherwise. Syslog gets the line without time and level, which it has of
// its own, and the journal gets the fields as its own.
func newLogger(sink *logSink, level zap.AtomicLevel, format string) *zap.Logger {
	cfg := zap.NewProductionEncoderConfig()
	cfg.EncodeTime = zapcore.ISO8601TimeEncoder
	cfg.EncodeDuration = zapcore.StringDurationEncoder
	bare := cfg
	bare.TimeKey, bare.LevelKey = zapcore.OmitKey, zapcore.OmitKey
	c := &logCore{LevelEnabler: level, sink: sink, lines: zapcore.NewJSONEncoder(cfg), bare: zapcore.NewJSONEncoder(bare)}
	if format == "text" || format == "" && sink.terminal() {
		cfg.EncodeLevel = zapcore.CapitalLevelEncoder
		c.lines, c.bare = zapcore.NewConsoleEncoder(cfg), zapcore.NewConsoleEncoder(bare)
	}
	return zap.New(c)
}
