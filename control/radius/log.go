package radius

import (
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// limited is a logger for lines that a packet can cause: of each message the
// first few per interval are written, the rest are left to the counters.
type limited struct{ log *zap.Logger }

func newLimited(log *zap.Logger) *limited {
	return &limited{log.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(c, 10*time.Second, 5, 0)
	}))}
}

func (l *limited) warn(msg string, fields ...zap.Field) { l.log.Warn(msg, fields...) }
func (l *limited) info(msg string, fields ...zap.Field) { l.log.Info(msg, fields...) }
