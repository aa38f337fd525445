package tcpsim

import (
	"math"
	"time"
)

// cubic is the state of CUBIC (RFC 9438).
type cubic struct {
	most  float64       // the window before it was last reduced
	epoch time.Duration // when growth began; 0 before
	k     float64       // seconds until the window is at most again
	reno  float64       // what Reno's would be
}

const (
	cubicC    = 0.4
	cubicBeta = 717.0 / 1024
)

// shrink returns the window after loss, and remembers the one before.
func (c *cubic) shrink(window float64, kind Congestion) float64 {
	if kind == Reno {
		return window / 2
	}
	c.epoch = 0
	if window < c.most {
		c.most = window * (1 + cubicBeta) / 2 // fast convergence
	} else {
		c.most = window
	}
	return window * cubicBeta
}

// growth is by how much the window grows in congestion avoidance after fresh segments
// have arrived.
func (c *cubic) growth(window float64, fresh int, now, rtt time.Duration, kind Congestion) float64 {
	n := float64(fresh)
	if kind == Reno {
		return n / window
	}
	if c.epoch == 0 {
		c.epoch = now
		c.k = 0
		if window < c.most {
			c.k = math.Cbrt((c.most - window) / cubicC)
		} else {
			c.most = window
		}
		c.reno = window
	}
	c.reno += n * 3 * (1 - cubicBeta) / (1 + cubicBeta) / c.reno
	target := c.most + cubicC*math.Pow((now+rtt-c.epoch).Seconds()-c.k, 3)
	step := n / (100 * window)
	if target > window {
		step = n * min((target-window)/window, 0.5)
	}
	return max(step, min(c.reno-window, n))
}
