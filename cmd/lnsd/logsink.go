package main

import (
	"errors"
	"fmt"
	"log/syslog"
	"os"
	"strings"
	"sync"

	"github.com/coreos/go-systemd/v22/journal"
	"go.uber.org/zap/zapcore"
	"golang.org/x/term"
)

// Values of log_file that are no path.
const (
	syslogPrefix = "syslog:"
	journalFile  = "journal"
)

// facilities are those that log_file may name.
var facilities = map[string]syslog.Priority{
	"kern": syslog.LOG_KERN, "user": syslog.LOG_USER, "mail": syslog.LOG_MAIL, "daemon": syslog.LOG_DAEMON,
	"auth": syslog.LOG_AUTH, "security": syslog.LOG_AUTH, "syslog": syslog.LOG_SYSLOG, "lpr": syslog.LOG_LPR, "news": syslog.LOG_NEWS,
	"uucp": syslog.LOG_UUCP, "cron": syslog.LOG_CRON, "authpriv": syslog.LOG_AUTHPRIV, "ftp": syslog.LOG_FTP,
	"local0": syslog.LOG_LOCAL0, "local1": syslog.LOG_LOCAL1, "local2": syslog.LOG_LOCAL2, "local3": syslog.LOG_LOCAL3,
	"local4": syslog.LOG_LOCAL4, "local5": syslog.LOG_LOCAL5, "local6": syslog.LOG_LOCAL6, "local7": syslog.LOG_LOCAL7,
}

// destination takes the lines of the log; the zero value of what it is not.
type destination struct {
	file    *os.File // standard error, or what Close closes
	syslog  *syslog.Writer
	journal bool
}

func openDestination(name string) (d destination, err error) {
	facility, isSyslog := strings.CutPrefix(name, syslogPrefix)
	switch {
	case name == "":
		d.file = os.Stderr
	case name == journalFile:
		if d.journal = journal.Enabled(); !d.journal {
			err = errors.New("there is no journal of systemd here")
		}
	case isSyslog:
		f, ok := facilities[facility]
		if !ok {
			return d, fmt.Errorf("log: there is no syslog facility %s", facility)
		}
		d.syslog, err = syslog.New(f|syslog.LOG_INFO, "lnsd")
	default:
		d.file, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o640)
	}
	if err != nil {
		return d, fmt.Errorf("log: %s: %w", name, err)
	}
	return d, nil
}

func (d *destination) close() {
	if d.file != nil && d.file != os.Stderr {
		d.file.Close()
	}
	if d.syslog != nil {
		d.syslog.Close()
	}
}

// logSink is where log lines go: standard error, a file that can be reopened after it
// was rotated away, syslog or systemd's journal.
type logSink struct {
	mu   sync.Mutex
	name string // as log_file has it
	to   destination
}

func openLogSink(name string) (*logSink, error) {
	to, err := openDestination(name)
	if err != nil {
		return nil, err
	}
	return &logSink{name: name, to: to}, nil
}

// Reopen opens the destination again under its name. On failure the old one stays in
// use.
func (s *logSink) Reopen() error {
	s.mu.Lock()
	name := s.name
	s.mu.Unlock()
	return s.Switch(name)
}

// Switch logs to another destination, or opens the same one again.
func (s *logSink) Switch(name string) error {
	to, err := openDestination(name)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to.close()
	s.name, s.to = name, to
	return nil
}

func (s *logSink) terminal() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.name == "" && term.IsTerminal(int(os.Stderr.Fd()))
}

// logCore brings lines to a sink, in the form that its destination of the moment takes.
type logCore struct {
	zapcore.LevelEnabler
	sink *logSink
	// lines are whole, bare ones have neither time nor level.
	lines, bare zapcore.Encoder
	fields      []zapcore.Field
}

// With returns a core whose lines have more fields.
func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	child := *c
	child.fields = append(c.fields[:len(c.fields):len(c.fields)], fields...)
	return &child
}

// Check adds the core to those that write the line.
func (c *logCore) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return ce.AddCore(e, c)
	}
	return ce
}

// Write writes a line.
func (c *logCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	fields = append(c.fields[:len(c.fields):len(c.fields)], fields...)
	s := c.sink
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.to.journal {
		return journal.Send(e.Message, priority(e.Level), journalFields(e.LoggerName, fields))
	}
	encoder := c.lines
	if s.to.syslog != nil {
		encoder = c.bare
	}
	b, err := encoder.EncodeEntry(e, fields)
	if err != nil {
		return err
	}
	defer b.Free()
	if s.to.syslog != nil {
		return toSyslog(s.to.syslog, e.Level, strings.TrimSuffix(b.String(), "\n"))
	}
	_, err = s.to.file.Write(b.Bytes())
	return err
}

// Sync does nothing: a line is in the kernel's hands once Write returns, and
// standard error can often not be synced at all.
func (c *logCore) Sync() error { return nil }

func toSyslog(w *syslog.Writer, level zapcore.Level, line string) error {
	switch {
	case level <= zapcore.DebugLevel:
		return w.Debug(line)
	case level == zapcore.InfoLevel:
		return w.Info(line)
	case level == zapcore.WarnLevel:
		return w.Warning(line)
	case level == zapcore.ErrorLevel:
		return w.Err(line)
	}
	return w.Crit(line)
}

func priority(level zapcore.Level) journal.Priority {
	switch {
	case level <= zapcore.DebugLevel:
		return journal.PriDebug
	case level == zapcore.InfoLevel:
		return journal.PriInfo
	case level == zapcore.WarnLevel:
		return journal.PriWarning
	case level == zapcore.ErrorLevel:
		return journal.PriErr
	}
	return journal.PriCrit
}

// journalFields names fields as the journal wants them: capitals, digits and
// underscores, and none of its own.
func journalFields(logger string, fields []zapcore.Field) map[string]string {
	m := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(m)
	}
	vars := map[string]string{"SYSLOG_IDENTIFIER": "lnsd"}
	if logger != "" {
		vars["LNSD_LOGGER"] = logger
	}
	for k, v := range m.Fields {
		name := strings.Map(func(r rune) rune {
			switch {
			case r >= 'a' && r <= 'z':
				return r - 'a' + 'A'
			case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
				return r
			}
			return '_'
		}, k)
		vars["LNSD_"+name] = fmt.Sprint(v)
	}
	return vars
}
