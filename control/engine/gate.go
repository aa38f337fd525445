package engine

import (
	"time"

	"go.uber.org/zap"
)

// gate lets a few log lines of one kind pass in each second: what a packet can
// cause must not fill a disk. How many were held back is told with the next.
type gate struct {
	second     time.Time
	passed     int
	suppressed int
}

// The kinds of lines that are limited, each by itself.
const (
	gateTunnel = iota
	gateCall
	gateAuth
	gateClaim
	gateProgram
	gateSetup
	gates
)

// gateLines is how many lines of a kind pass in a second.
const gateLines = 10

func (s *Shard) warn(kind int, message string, fields ...zap.Field) {
	g := &s.gates[kind]
	if s.now.Sub(g.second) >= time.Second || s.now.Before(g.second) {
		g.second, g.passed = s.now, 0
	}
	if g.passed == gateLines {
		g.suppressed++
		return
	}
	g.passed++
	if g.suppressed > 0 {
		fields = append(fields, zap.Int("suppressed", g.suppressed))
		g.suppressed = 0
	}
	s.log.Warn(message, fields...)
}
