package garden

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"go.uber.org/zap"
)

// buildLimit bounds the time and buildText the output of the build file.
const (
	buildLimit = 10 * time.Second
	buildText  = 500
)

// build runs the build file, which completes the rules of the gardens: as a program if
// it may be executed, else by nft. The program finds the table's name in
// LNSD_TABLE, the TUN device's in LNSD_DEVICE and the gardens' in LNSD_GARDENS. What
// goes wrong is shown with the gardens, which are closed rather than open without it.
func (g *Gardens) build(names []string) {
	g.built = nil
	if g.cfg.Build == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), buildLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "nft", "-f", g.cfg.Build)
	if info, err := os.Stat(g.cfg.Build); err == nil && info.Mode().Perm()&0o111 != 0 {
		cmd = exec.CommandContext(ctx, g.cfg.Build)
	}
	cmd.Env = append(os.Environ(), "LNSD_TABLE="+tableName, "LNSD_DEVICE="+g.cfg.Device, "LNSD_GARDENS="+strings.Join(names, " "))
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err == nil {
		return
	}
	text := string(bytes.TrimSpace(out[:min(len(out), buildText)]))
	g.built = fmt.Errorf("%s: %w: %s", g.cfg.Build, err, text)
	g.log.Error("the walled gardens were not completed", zap.String("file", g.cfg.Build), zap.Error(err), zap.String("output", text))
}
