// Demo shows a working LNS on one machine: three network namespaces (a LAC, the
// LNS, a core router), lnsd with users from a file, a thousand subscribers in four
// tunnels, and verified traffic both ways through XDP. It stays up for lnsctl until
// Ctrl-C; without a terminal it ends after the summary. It removes all it made.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"github.com/lnsd/lnsd/test/netlab"
)

const (
	name        = "lnsd-demo"
	runDir      = "/run/" + name
	pinPath     = "/sys/fs/bpf/" + name
	tunnels     = 4
	subscribers = 1000
	secret      = "demo tunnel secret"
	password    = "demo password"
	echoPort    = 7
	// patience is how long is waited for what takes moments on most machines.
	patience = 2 * time.Minute
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	if os.Geteuid() != 0 {
		return errors.New("loading XDP programs and making network namespaces need root: try `make run`, which uses sudo")
	}
	d, err := setUp()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.tearDown()) }()

	if err := d.startLNS(ctx); err != nil {
		return err
	}
	if err := d.dialIn(ctx); err != nil {
		return err
	}
	if err := d.summary(ctx); err != nil {
		return err
	}
	if term.IsTerminal(int(os.Stdout.Fd())) && term.IsTerminal(int(os.Stdin.Fd())) {
		d.invite()
		if err := d.stay(ctx); err != nil {
			return err
		}
	}
	return d.finish()
}

// invite says what to do with the running LNS.
func (d *demo) invite() {
	fmt.Printf("\nThe subscribers stay up, with traffic, until Ctrl-C. In another terminal:\n\n"+
		"  sudo %[1]s --socket %[2]s show session\n"+
		"  sudo %[1]s --socket %[2]s show counters\n"+
		"  sudo bpftool map dump pinned %[3]s/lns_sessions\n"+
		"  sudo ip netns exec %[4]s tcpdump -ni any\n\n",
		d.bin("lnsctl"), d.socket(), pinPath, d.lab.LNS.Name)
}

// stay waits for Ctrl-C.
func (d *demo) stay(ctx context.Context) error {
	select {
	case <-ctx.Done():
		fmt.Println("\nTaking everything down.")
	case <-d.lacsim.Exited():
	case <-d.lnsd.Exited():
		return fmt.Errorf("lnsd ended by itself:\n%s", d.lnsd.Log())
	}
	return nil
}

// finish has the subscribers leave and prints their report.
func (d *demo) finish() error {
	err := d.lacsim.Stop(syscall.SIGINT, patience)
	fmt.Printf("\n$ lacsim run ...\n%s", d.lacsim.Log())
	if err != nil {
		return fmt.Errorf("lacsim: %w", err)
	}
	return nil
}

// demo is what was started and has to be taken down again.
type demo struct {
	lab                  *netlab.Lab
	lnsd, lacsim, mirror *netlab.Process
}

func (d *demo) bin(name string) string {
	exe, err := os.Executable()
	if err != nil {
		return name
	}
	return filepath.Join(filepath.Dir(exe), name)
}

func (d *demo) socket() string { return filepath.Join(runDir, "lnsd.sock") }

// setUp makes the namespaces and the configuration, after removing what a killed
// run may have left.
func setUp() (*demo, error) {
	if err := errors.Join(netlab.Sweep(name), os.RemoveAll(runDir), os.RemoveAll(pinPath)); err != nil {
		return nil, fmt.Errorf("remove what an earlier run left: %w", err)
	}
	if err := os.MkdirAll(runDir, 0o755); err != nil {
		return nil, err
	}
	files := map[string]string{
		"startup-config": strings.Join([]string{
			"# Everything that is not here has its default.",
			"set bind_address " + netlab.LNSAddr.String(),
			fmt.Sprintf("set l2tp_secret %q", secret),
			"set socket " + filepath.Join(runDir, "lnsd.sock"),
			"set pin_path " + pinPath,
		}, "\n") + "\n",
		"ip_pool":      netlab.Pool.String() + "\n",
		"chap-secrets": users(),
	}
	for file, text := range files {
		if err := os.WriteFile(filepath.Join(runDir, file), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	lab, err := netlab.New(name)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(runDir))
	}
	return &demo{lab: lab}, nil
}

// users is the chap-secrets file: one line a subscriber.
func users() string {
	var b strings.Builder
	b.WriteString("# client\tserver\tsecret\taddresses\n")
	for i := 1; i <= subscribers; i++ {
		fmt.Fprintf(&b, "user%d@demo\t*\t%q\t*\n", i, password)
	}
	return b.String()
}

func (d *demo) startLNS(ctx context.Context) (err error) {
	fmt.Printf("Namespaces: %s (LAC) -- %s (LNS) -- %s (core)\n", d.lab.LAC.Name, d.lab.LNS.Name, d.lab.Core.Name)
	d.lnsd, err = d.lab.LNS.Run(filepath.Join(runDir, "lnsd.log"), d.bin("lnsd"), "-c", filepath.Join(runDir, "startup-config"))
	if err != nil {
		return err
	}
	err = d.until(ctx, func() error { return d.ctl(ctx, io.Discard, "uptime") })
	if err != nil {
		return fmt.Errorf("start lnsd: %w", err)
	}
	d.mirror, err = d.lab.Core.Run(filepath.Join(runDir, "reflect.log"), d.bin("lacsim"), "reflect",
		"--listen", fmt.Sprintf("%s:%d", netlab.CoreAddr, echoPort))
	if err != nil {
		return err
	}
	return d.until(ctx, func() error {
		out, err := d.lab.Core.Output(ctx, "ss", "-Hlun", "sport", "=", fmt.Sprintf(":%d", echoPort))
		if err == nil && out == "" {
			err = errors.New("the echo in the core does not listen yet")
		}
		return err
	})
}

// until waits for a condition for as long as lnsd runs and nobody wants an end.
func (d *demo) until(ctx context.Context, condition func() error) error {
	var end error
	err := netlab.Until(patience, func() error {
		select {
		case <-ctx.Done():
			end = ctx.Err()
			return nil
		case <-d.lnsd.Exited():
			end = fmt.Errorf("lnsd ended:\n%s", d.lnsd.Log())
			return nil
		default:
			return condition()
		}
	})
	return errors.Join(end, err)
}

// dialIn starts the subscribers and waits until all are up.
func (d *demo) dialIn(ctx context.Context) (err error) {
	fmt.Printf("Dialling in %d subscribers through %d tunnels, each sending to an echo in the core.\n", subscribers, tunnels)
	d.lacsim, err = d.lab.LAC.Run(filepath.Join(runDir, "lacsim.log"), d.bin("lacsim"),
		"run", "--lns", netlab.LNSAddr.String(), "--bind", netlab.LACAddr.String(),
		"--tunnels", fmt.Sprint(tunnels), "--sessions", fmt.Sprint(subscribers),
		"--secret", secret, "--user", "user%d@demo", "--password", password,
		"--traffic", "5000", "--traffic-target", fmt.Sprintf("%s:%d", netlab.CoreAddr, echoPort),
		"--verify", "--max-loss", "5", "--hops", "1", "--hold", "forever")
	if err != nil {
		return err
	}
	return d.until(ctx, func() error {
		var out strings.Builder
		if err := d.ctl(ctx, &out, "show", "users"); err != nil {
			return err
		}
		if up := strings.Count(out.String(), "@demo"); up < subscribers {
			return fmt.Errorf("only %d of %d subscribers are up\n%s", up, subscribers, d.lacsim.Log())
		}
		return nil
	})
}

// summary shows what an operator would look at.
func (d *demo) summary(ctx context.Context) error {
	time.Sleep(2 * time.Second) // the rates are those of the last second
	for _, show := range []struct {
		args []string
		rows int
		only string
	}{
		{args: []string{"show", "session"}, rows: 10},
		{args: []string{"show", "tunnel"}, rows: tunnels + 1},
		{args: []string{"show", "counters"}, rows: 20, only: "xdp_"},
		{args: []string{"uptime"}, rows: 20},
	} {
		var out strings.Builder
		if err := d.ctl(ctx, &out, show.args...); err != nil {
			return err
		}
		fmt.Printf("\n$ lnsctl %s\n%s", strings.Join(show.args, " "), excerpt(out.String(), show.rows, show.only))
	}
	return nil
}

// excerpt is the first rows of a table, of those with the given prefix if there is
// one and with counts that are not zero.
func excerpt(text string, rows int, only string) string {
	var b strings.Builder
	left := 0
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if only != "" && (!strings.HasPrefix(line, only) || len(fields) > 0 && fields[len(fields)-1] == "0") {
			continue
		}
		if rows--; rows < 0 {
			left++
			continue
		}
		b.WriteString(line)
	}
	if left > 0 {
		fmt.Fprintf(&b, "... and %d more\n", left)
	}
	return b.String()
}

// ctl runs lnsctl and copies what it prints to w.
func (d *demo) ctl(ctx context.Context, w io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, d.bin("lnsctl"), append([]string{"--socket", d.socket()}, args...)...)
	cmd.Stdout = w
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("lnsctl %s: %w: %s", strings.Join(args, " "), err, stderr.String())
	}
	return nil
}

func (d *demo) tearDown() error {
	var errs []error
	if d.lacsim != nil {
		errs = append(errs, d.lacsim.Stop(syscall.SIGINT, patience))
	}
	if d.lnsd != nil {
		errs = append(errs, d.lnsd.Stop(syscall.SIGQUIT, patience))
	}
	if d.mirror != nil {
		errs = append(errs, d.mirror.Stop(syscall.SIGINT, patience))
	}
	errs = append(errs, d.lab.Close(), os.RemoveAll(runDir), os.RemoveAll(pinPath))
	return errors.Join(errs...)
}
