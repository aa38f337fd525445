package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

func (a *app) supportCommands() []command {
	return []command{{
		words: "support-bundle", host: true,
		help: "Collect all that is shown, secrets hidden, and what the host says of its network, in a .tar.gz",
		arg:  &arg{name: "FILE|-", optional: true},
		run:  a.supportBundle,
	}}
}

// hostCommands are what the host is asked; none tells a secret.
var hostCommands = [...][]string{
	{"uname", "-a"},
	{"cat", "/etc/os-release"},
	{"ip", "-details", "-statistics", "link"},
	{"ip", "address"},
	{"ip", "rule"},
	{"ip", "route", "show", "table", "all"},
	{"ip", "-6", "route", "show", "table", "all"},
	{"ss", "-u", "-a", "-n", "-m"},
	{"bpftool", "prog", "list"},
	{"bpftool", "map", "list"},
	{"bpftool", "net", "list"},
	{"journalctl", "--unit", "lnsd", "--lines", "5000", "--no-pager"},
}

// hostTimeout bounds each of the host's commands.
const hostTimeout = 10 * time.Second

// supportBundle writes the archive. What cannot be had is named in it, in errors.txt:
// a bundle is wanted most when something does not work.
func (a *app) supportBundle(ctx context.Context, name string) (err error) {
	if name == "" {
		host, _ := os.Hostname() // a name for the file, no more
		name = fmt.Sprintf("lnsd-support-%s-%s.tar.gz", host, time.Now().UTC().Format("20060102T150405Z"))
	}
	out := a.env.Out
	if name != "-" {
		// Subscribers' names and addresses are in it.
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		defer func() {
			err = joinErr(err, f.Close())
			if err == nil {
				_, err = fmt.Fprintf(a.env.Out, "%s\n", escape(name))
			}
		}()
		out = f
	}
	b := newBundle(out)
	b.progress = a.progress()
	defer b.progress.clear()
	a.collectShown(ctx, b)
	for _, c := range hostCommands {
		b.hostCommand(ctx, c)
	}
	return b.close()
}

// collectShown runs every command that shows something without being asked for one
// thing in particular.
func (a *app) collectShown(ctx context.Context, b *bundle) {
	for _, c := range a.commands() {
		what, isShow := strings.CutPrefix(c.words, "show ")
		if !isShow || c.arg != nil && !c.arg.optional {
			continue
		}
		sub := &app{env: a.env}
		b.file("lnsctl/show-"+strings.ReplaceAll(what, " ", "-")+".json", func(w io.Writer) error {
			sub.env.Out = w
			root := sub.root()
			root.SetOut(w)
			root.SetErr(io.Discard)
			root.SetArgs(append([]string{"--socket", a.socket, "--timeout", a.timeout.String(), "--json"}, strings.Fields(c.words)...))
			return root.ExecuteContext(ctx)
		})
	}
}

// bundle is an archive in the making.
type bundle struct {
	gz     *gzip.Writer
	tar    *tar.Writer
	now    time.Time
	failed bytes.Buffer
	// progress says what is being collected.
	progress *progress
	err      error // of the archive itself
}

func newBundle(w io.Writer) *bundle {
	gz := gzip.NewWriter(w)
	return &bundle{gz: gz, tar: tar.NewWriter(gz), now: time.Now()}
}

// file adds what fill writes. It goes by a file on disk, since an archive wants the
// size first and a list of a million sessions is long.
func (b *bundle) file(name string, fill func(io.Writer) error) {
	if b.err != nil {
		return
	}
	b.progress.say("collecting %s", name)
	f, err := os.CreateTemp("", "lnsctl-*")
	if err != nil {
		b.err = err
		return
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if err := fill(f); err != nil {
		fmt.Fprintf(&b.failed, "%s: %v\n", name, err)
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err == nil {
		err = b.tar.WriteHeader(&tar.Header{Name: "lnsd-support/" + name, Mode: 0o600, Size: size, ModTime: b.now})
	}
	if err == nil {
		_, err = io.Copy(b.tar, f)
	}
	b.err = err
}

func (b *bundle) hostCommand(ctx context.Context, args []string) {
	ctx, cancel := context.WithTimeout(ctx, hostTimeout)
	defer cancel()
	words := strings.NewReplacer("/", "", "--", "", "-", "").Replace(strings.Join(args, " "))
	b.file("host/"+strings.ReplaceAll(words, " ", "-")+".txt", func(w io.Writer) error {
		cmd := exec.CommandContext(ctx, args[0], args[1:]...)
		cmd.Stdout, cmd.Stderr = w, w
		return cmd.Run()
	})
}

func (b *bundle) close() error {
	if b.failed.Len() > 0 {
		text := b.failed.Bytes()
		b.file("errors.txt", func(w io.Writer) error { _, err := w.Write(text); return err })
	}
	return joinErr(joinErr(b.err, b.tar.Close()), b.gz.Close())
}
