package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"

	"golang.org/x/term"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// ShellEnv is what a shell takes from its surroundings: lnsctl on a terminal, or the
// daemon's own servers for SSH and telnet.
type ShellEnv struct {
	// In and Out are the terminal, in raw mode: every key comes at once and unechoed.
	In  io.Reader
	Out io.Writer
	// Size is the terminal's in columns and rows, zeros where there is none. Resized has
	// something in it when that has changed; it may be nil.
	Size    func() (width, height int)
	Resized <-chan struct{}
	Version string
	// Where is the daemon as errors name it.
	Where string
	// Dial connects to the daemon as somebody of a standing.
	Dial func(Standing) (*api.Client, error)
	// Enable checks the password of "enable", and takes its time when it is wrong; nil
	// lets it pass without one.
	Enable func(password string) bool
	// Intercept is like Enable, for "enable intercept"; nil where who is enabled needs
	// no more than that.
	Intercept func(password string) bool
	// History keeps the lines; nil keeps them as long as the shell runs.
	History term.History
	// OnHost: who is at the terminal has a shell on this host anyway, so that commands
	// which read and write its files are his to give.
	OnHost bool
}

// Standing is what an operator has shown passwords for.
type Standing struct{ Enabled, Intercept bool }

// mode is what lines mean.
type mode int

const (
	modeExec mode = iota
	modeConfig
)

// shell is one operator's conversation with the daemon.
type shell struct {
	env     ShellEnv
	term    *term.Terminal
	keys    *keyboard
	host    string
	enabled bool
	// intercept: interceptions may be ordered and seen, too.
	intercept bool
	mode      mode
	grammar   *lnsv1.GrammarReply // in modeConfig
	within    string              // the command that parts of it belong to
	pending   []*lnsv1.ConfigLine // what is to come into force with more lines
	unpaged   bool                // "terminal length 0"
	ended     bool
	baseline  map[string]uint64 // of the counters

	mu    sync.Mutex
	debug context.CancelFunc // ends the stream to this terminal
}

// Shell talks to an operator until he leaves, his terminal is gone, or ctx ends.
func Shell(ctx context.Context, env ShellEnv) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := newShell(env)
	s.keys = newKeyboard(env.In)
	s.term = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{s.keys, env.Out}, "")
	if env.History != nil {
		s.term.History = env.History
	}
	s.term.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		return s.key(ctx, line, pos, key)
	}
	s.resize()
	go s.followSize(ctx)
	defer s.undebug()
	s.greet(ctx)
	for !s.ended {
		s.term.SetPrompt(s.prompt())
		line, err := s.term.ReadLine()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, io.EOF) && s.keys.open() && s.mode == modeConfig:
			s.leaveConfig()
			continue
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && !errors.Is(err, term.ErrPasteIndicator):
			return err
		}
		s.line(ctx, line)
	}
	return nil
}

func newShell(env ShellEnv) *shell { return &shell{env: env, host: "lnsd"} }

// greet learns the name that the prompt shows.
func (s *shell) greet(ctx context.Context) {
	a := s.app(io.Discard)
	err := a.callFor(ctx, completionTimeout, func(ctx context.Context, c *api.Client) error {
		st, err := c.Status(ctx, &lnsv1.StatusRequest{})
		if err == nil && st.HostName != "" {
			s.host = escape(st.HostName)
		}
		return err
	})
	if err != nil {
		text, _ := explain(err, a.where())
		s.say("%% %s", text)
	}
}

func (s *shell) resize() {
	if w, h := s.env.Size(); w > 0 && h > 0 {
		// A terminal too narrow for its prompt is left at what it was.
		_ = s.term.SetSize(w, h)
	}
}

func (s *shell) followSize(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.env.Resized:
			s.resize()
		}
	}
}

func (s *shell) prompt() string {
	switch {
	case s.mode == modeConfig && s.within != "":
		return s.host + "(config-acl)# "
	case s.mode == modeConfig:
		return s.host + "(config)# "
	case s.enabled:
		return s.host + "# "
	}
	return s.host + "> "
}

// say prints a line about the conversation itself.
func (s *shell) say(format string, args ...any) {
	fmt.Fprintf(s.term, "%s\n", escape(fmt.Sprintf(format, args...)))
}

// line carries out one line.
func (s *shell) line(ctx context.Context, text string) {
	text = strings.TrimSpace(text)
	if text == "" || text[0] == '!' || text[0] == '#' {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s.keys.onInterrupt(cancel)
	defer s.keys.onInterrupt(nil)
	if s.mode == modeConfig {
		s.configLine(ctx, text)
		return
	}
	s.execLine(ctx, text)
}

// execLine carries out a command of the table.
func (s *shell) execLine(ctx context.Context, text string) {
	command, filters, err := splitPipes(text)
	if err != nil {
		s.say("%% %v", err)
		return
	}
	words, err := splitWords(command)
	if err != nil {
		s.say("%% %v", err)
		return
	}
	found, err := s.tree().resolve(words)
	if err != nil {
		s.say("%% %v", err)
		return
	}
	if found.builtin != nil {
		found.builtin(ctx, found.args)
		return
	}
	s.run(ctx, found, filters)
}

// run gives a command to the same code that lnsctl runs it by; what it prints goes
// through the filters and the pager.
func (s *shell) run(ctx context.Context, found *resolved, filters []filter) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &pager{w: s.term, keys: s.keys, size: s.env.Size, off: s.unpaged, quit: cancel}
	out := newFilterWriter(p, filters)
	a := s.app(out)
	a.filters = filters
	err := a.runWords(ctx, append(found.words, found.args...))
	if errors.Is(err, errPagerQuit) || p.ended {
		return
	}
	if ferr := out.finish(); err == nil {
		err = ferr
	}
	if err == nil || errors.Is(err, errPagerQuit) {
		return
	}
	if ctx.Err() != nil && !s.keys.open() {
		return
	}
	message, _ := explain(err, a.where())
	if errors.Is(ctx.Err(), context.Canceled) {
		message = "interrupted"
	}
	for line := range strings.Lines(message) {
		s.say("%% %s", strings.TrimSuffix(line, "\n"))
	}
}

// app is what carries out a command in this shell.
func (s *shell) app(out io.Writer) *app {
	standing := Standing{s.enabled, s.intercept}
	return &app{
		env:     Env{Out: out, Err: out, Version: s.env.Version},
		within:  s,
		timeout: defaultTimeout,
		connect: func() (*api.Client, error) { return s.env.Dial(standing) },
	}
}

// runWords runs a command line that is complete.
func (a *app) runWords(ctx context.Context, words []string) error {
	root := a.root()
	root.SetArgs(words)
	root.SetOut(a.env.Out)
	root.SetErr(a.env.Err)
	return root.ExecuteContext(ctx)
}

// Exec carries out one line as an enabled or other operator would enter it, without a
// terminal, and returns the exit code.
func Exec(ctx context.Context, env ShellEnv, enabled bool, line string) int {
	s := newShell(env)
	s.enabled = enabled
	command, filters, err := splitPipes(line)
	var words []string
	if err == nil {
		words, err = splitWords(command)
	}
	var found *resolved
	if err == nil {
		found, err = s.tree().resolve(words)
	}
	if err == nil && found.builtin != nil {
		err = fmt.Errorf("%s needs a terminal", strings.Join(found.words, " "))
	}
	if err != nil {
		fmt.Fprintf(env.Out, "%% %s\n", escape(err.Error()))
		return exitUsage
	}
	out := newFilterWriter(env.Out, filters)
	a := s.app(out)
	a.filters = filters
	err = a.runWords(ctx, append(found.words, found.args...))
	if ferr := out.finish(); err == nil {
		err = ferr
	}
	if err == nil {
		return exitOK
	}
	message, code := explain(err, a.where())
	fmt.Fprintf(env.Out, "%% %s\n", escape(message))
	return code
}

func (s *shell) enable(context.Context, []string) { s.enabled = s.passes(s.env.Enable) }

func (s *shell) enableIntercept(context.Context, []string) { s.intercept = s.passes(s.env.Intercept) }

func (s *shell) disable(context.Context, []string) { s.enabled, s.intercept = false, false }

// passes asks for a password if there is a check of it.
func (s *shell) passes(check func(string) bool) bool {
	if check == nil {
		return true
	}
	s.keys.onInterrupt(nil) // ^C empties the line, as it does everywhere
	password, err := s.term.ReadPassword("Password: ")
	if err != nil || password == "" {
		return false
	}
	if !check(password) {
		s.say("%% wrong password")
		return false
	}
	return true
}

// clearCounters makes this terminal count from now on.
func (s *shell) clearCounters(ctx context.Context, _ []string) {
	a := s.app(s.term)
	err := a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Counters(ctx, &lnsv1.CountersRequest{})
		if err != nil {
			return err
		}
		baseline := map[string]uint64{}
		for _, n := range reply.Counters {
			baseline[n.Name] = n.Value
		}
		s.baseline = maps.Clone(baseline)
		return nil
	})
	if err != nil {
		text, _ := explain(err, a.where())
		s.say("%% %s", text)
		return
	}
	s.say("this terminal counts from now on")
}
