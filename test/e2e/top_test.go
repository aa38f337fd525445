package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// lockedBuffer collects what a program prints while a test looks on.
type lockedBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// The busiest session is on top, in the table and on a terminal's screen.
func TestTop(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	r.reflect()
	r.lacsim("--sessions", "5", "--traffic-target", echoTarget, "--traffic", "500", "--hold", "forever")
	r.until(20*time.Second, func() error {
		out, err := r.tryCtl("--json", "top", "--count", "1", "--interval", "1s", "--order", "down")
		if err != nil {
			return err
		}
		var top struct {
			SessionsUp uint64 `json:"sessions_up"`
			Total      struct {
				Down float64 `json:"down_packets_per_second"`
			}
			Busiest []struct {
				SID  uint32
				User string
				Bits float64 `json:"down_bits_per_second"`
			}
		}
		if err := json.Unmarshal([]byte(out), &top); err != nil {
			return err
		}
		if top.SessionsUp != 5 || len(top.Busiest) != 5 || top.Total.Down < 100 {
			return fmt.Errorf("not all sessions are busy: %s", out)
		}
		for i := 1; i < len(top.Busiest); i++ {
			if top.Busiest[i].Bits > top.Busiest[i-1].Bits {
				return fmt.Errorf("not in order: %s", out)
			}
		}
		return nil
	})

	cmd := exec.Command("script", "-qec", fmt.Sprintf("stty rows 24 cols 120; %s --socket %s top --interval 1s", binary("lnsctl"), r.path("lnsd.sock")), "/dev/null")
	cmd.Env = append(cmd.Environ(), "TERM=xterm-256color")
	keys, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	screen := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = screen, screen
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	r.until(15*time.Second, func() error {
		if s := screen.String(); !strings.Contains(s, "user1") || !strings.Contains(s, "q quit") {
			return fmt.Errorf("the screen shows:\n%q", s)
		}
		return nil
	})
	if _, err := io.WriteString(keys, "q"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("top ended: %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("q does not end it")
	}
}
