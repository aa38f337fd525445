package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/test/lac"
)

func execute(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	var out bytes.Buffer
	cmd := newCommand()
	cmd.SetArgs(args)
	cmd.SetOut(&out)
	cmd.SetErr(t.Output())
	err = cmd.ExecuteContext(t.Context())
	return out.String(), err
}

// configOf is what run makes of its flags.
func configOf(t *testing.T, args ...string) (lac.Config, error) {
	t.Helper()
	o := &options{}
	cmd := &cobra.Command{Use: "run"}
	o.flags(cmd)
	if err := cmd.ParseFlags(args); err != nil {
		t.Fatal(err)
	}
	return o.config(cmd)
}

func TestFlagsBecomeAConfig(t *testing.T) {
	got, err := configOf(t, "--lns", "192.0.2.1", "--port", "1702", "--bind", "127.0.0.1,127.0.0.2",
		"--tunnels", "3", "--sessions", "30", "--auth", "mschapv2", "--hold", "forever", "--teardown", "lac",
		"--ff03", "always", "--offset", "0", "--length-bit", "--traffic", "10", "--traffic-target", "192.0.2.9:7",
		"--max-loss", "5", "--loss", "0.5")
	if err != nil {
		t.Fatal(err)
	}
	if got.LNS != netip.MustParseAddrPort("192.0.2.1:1702") || len(got.Bind) != 2 || got.Tunnels != 3 || got.Sessions != 30 ||
		got.Auth != ppp.MSCHAPv2 || got.Hold != lac.Forever || got.Teardown != lac.ByLAC ||
		got.Framing != (lac.Framing{Length: true, HasOffset: true, AddressControl: lac.Always}) ||
		got.Traffic.Target != netip.MustParseAddrPort("192.0.2.9:7") || got.Traffic.MaxLoss != 0.05 || got.Impair.Loss != 0.5 {
		t.Errorf("%+v", got)
	}
	got, err = configOf(t, "--lns", "192.0.2.1:99", "--hold", "3s")
	if err != nil || got.LNS.Port() != 99 || got.Hold != 3*time.Second || got.Framing.HasOffset {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{"run"},
		{"run", "--lns", "nowhere"},
		{"run", "--lns", "192.0.2.1", "--auth", "eap"},
		{"run", "--lns", "192.0.2.1", "--hold", "-3s"},
		{"run", "--lns", "192.0.2.1", "--teardown", "later"},
		{"run", "--lns", "192.0.2.1", "--ff03", "perhaps"},
		{"run", "--lns", "192.0.2.1", "--bind", "here"},
		{"run", "--lns", "192.0.2.1", "--traffic", "5", "--hold", "1s"},
		{"run", "--lns", "192.0.2.1", "--user", "%d%d"},
		{"run", "--lns", "192.0.2.1", "--no-such-flag"},
		{"run", "--lns", "192.0.2.1", "extra"},
		{"reflect", "--listen", "7007"},
	} {
		_, err := execute(t, args...)
		if code := exitCode(err); code != exitUsage {
			t.Errorf("%v: exit status %d (%v), want %d", args, code, err, exitUsage)
		}
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{{nil, 0}, {errFailed, exitFailed}, {errUsage{errors.New("x")}, exitUsage}, {errors.New("x"), exitFailed}} {
		if got := exitCode(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}

// A run whose sessions fail says so in its report and by its status.
func TestRunThatFails(t *testing.T) {
	out, err := execute(t, "run", "--lns", "127.0.0.1:9", "--sessions", "2", "--timeout", "200ms", "--json", "-", "--quiet")
	if !errors.Is(err, errFailed) {
		t.Errorf("error %v", err)
	}
	var r lac.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.Sessions.Failed != 2 || r.LNS != "127.0.0.1:9" {
		t.Errorf("%v: %s", err, out)
	}
}

// Everything that can be said on the command line is explained there.
func TestHelp(t *testing.T) {
	for _, name := range []string{"run", "reflect"} {
		out, err := execute(t, name, "--help")
		if err != nil || !strings.Contains(out, "Examples:") {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
	newRunCommand().Flags().VisitAll(func(f *pflag.Flag) {
		if len(f.Usage) < 10 || f.Usage != strings.TrimSpace(f.Usage) {
			t.Errorf("--%s is explained by %q", f.Name, f.Usage)
		}
	})
}
