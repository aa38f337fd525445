package cli

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// commitFlags are how a commit is made.
type commitFlags struct {
	confirmed             time.Duration
	force, secrets, watch bool
	comment               string
}

// maxCommand bounds the words of a configuration's command.
const maxCommand = 1000

func (a *app) commitCommands() []command {
	force := func(c *cobra.Command) {
		c.Flags().BoolVar(&a.commit.force, "force", false, "disconnect sessions that the change can't spare")
	}
	confirmed := func(c *cobra.Command) {
		force(c)
		c.Flags().DurationVar(&a.commit.confirmed, "confirmed", 0, "undo it after so long unless config confirm says that it may stay")
		c.Flags().BoolVar(&a.commit.watch, "watch", false, "stay until a commit with --confirmed is confirmed or undone, and count down")
	}
	comment := func(c *cobra.Command) {
		confirmed(c)
		c.Flags().StringVar(&a.commit.comment, "comment", "", "what to say of it in config history")
	}
	secrets := func(c *cobra.Command) {
		c.Flags().BoolVar(&a.commit.secrets, "secrets", false, "show secrets")
	}
	// A word of a command may begin with a dash, as a secret can.
	words := func(c *cobra.Command) { c.Flags().SetInterspersed(false) }
	return []command{
		{words: "config edit", args: []arg{{name: "COMMAND"}}, most: maxCommand, flags: words, runs: a.configEdit,
			help: "Change the candidate by a command of the startup-config; \"no\" before it takes it back"},
		{words: "config load", host: true, arg: &arg{name: "FILE"}, run: a.configLoad, alias: "restore",
			help: "Make a file the candidate; commit puts it in force"},
		{words: "config show", flags: secrets, run: a.configShow, help: "Show the candidate, secrets hidden"},
		{words: "config diff", arg: &arg{name: "COMMIT", optional: true, kind: kind{check: commitNumber}}, run: a.configDiff,
			help: "Compare what is in force with the candidate, or with a commit"},
		{words: "config check", run: a.configCheck, help: "Say what a commit of the candidate would do"},
		{words: "config commit", flags: comment, run: a.configCommit, help: "Put the candidate in force and write the startup-config"},
		{words: "config confirm", run: a.configConfirm, help: "Keep a commit that would undo itself"},
		{words: "config rollback", arg: &arg{name: "N", kind: kind{check: commitNumber}}, flags: confirmed, run: a.configRollback,
			help: "Commit what was in force N commits ago"},
		{words: "config history", run: a.configHistory, help: "List the commits, the newest first"},
		{words: "config discard", run: a.configDiscard, help: "Give up the candidate"},
		{words: "config save", host: true, arg: &arg{name: "FILE"}, run: a.configSave, help: "Write the configuration in force to a file of this host, secrets included"},
		{words: "config write", flags: force, run: a.configWrite, help: "Write the configuration in force to the startup-config"},
	}
}

func commitNumber(s string) error {
	if n, err := strconv.ParseUint(s, 10, 32); err != nil || n == 0 {
		return fmt.Errorf("must be a number from 1")
	}
	return nil
}

func (a *app) configEdit(ctx context.Context, words []string) error {
	if len(words) > 1 {
		for i, w := range words {
			words[i] = configWord(w)
		}
	}
	return a.edit(ctx, &lnsv1.ConfigEditRequest{Lines: strings.Split(strings.Join(words, " "), "\n")})
}

// configWord writes a word of the shell's as one of the configuration's.
func configWord(w string) string {
	switch {
	case w != "" && !strings.ContainsAny(w, " \t\"'#!,"):
		return w
	case !strings.Contains(w, `"`):
		return `"` + w + `"`
	case !strings.Contains(w, `'`):
		return `'` + w + `'`
	}
	return `"` + strings.ReplaceAll(w, `"`, `"'"'"`) + `"`
}

func (a *app) configLoad(ctx context.Context, file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	text := string(b)
	return a.edit(ctx, &lnsv1.ConfigEditRequest{Text: &text})
}

func (a *app) edit(ctx context.Context, r *lnsv1.ConfigEditRequest) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Config.Edit(ctx, r)
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(a.env.Out, struct {
				Edited   bool     `json:"edited"`
				Warnings []string `json:"warnings"`
			}{reply.Edited, list(reply.Warnings)})
		}
		said := "the candidate is what is in force"
		if reply.Edited {
			said = "changed in the candidate: config commit puts it in force"
		}
		return a.lines(append(reply.Warnings, said))
	})
}

func (a *app) configDiscard(ctx context.Context, _ string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		if _, err := c.Config.Discard(ctx, &lnsv1.ConfigDiscardRequest{}); err != nil {
			return err
		}
		if a.json {
			return printJSON(a.env.Out, struct{}{})
		}
		return a.lines([]string{"discarded"})
	})
}

func (a *app) configShow(ctx context.Context, _ string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Config.GetText(ctx, &lnsv1.ConfigTextRequest{Source: lnsv1.ConfigSource_CONFIG_SOURCE_CANDIDATE, Secrets: a.commit.secrets})
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimSuffix(reply.Text, "\n"), "\n")
		if a.json {
			return printJSON(a.env.Out, struct {
				Edited   bool     `json:"edited"`
				Commands []string `json:"commands"`
			}{reply.Edited, lines})
		}
		return a.lines(lines)
	})
}

func (a *app) configSave(ctx context.Context, file string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Config.GetText(ctx, &lnsv1.ConfigTextRequest{Secrets: true})
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(reply.Text), 0o600); err != nil {
			return err
		}
		return a.saved(file)
	})
}

func (a *app) configWrite(ctx context.Context, _ string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Config.Save(ctx, &lnsv1.ConfigSaveRequest{Force: a.commit.force})
		if err != nil {
			return err
		}
		return a.saved(reply.File)
	})
}

func (a *app) saved(file string) error {
	if a.json {
		return printJSON(a.env.Out, struct {
			File string `json:"file"`
		}{file})
	}
	return a.lines([]string{"written to " + file})
}

type changeJSON struct {
	Name  string `json:"name"`
	Apply string `json:"takes_effect"`
}

func changesJSON(cs []*lnsv1.ConfigChange) []changeJSON {
	out := []changeJSON{}
	for _, c := range cs {
		out = append(out, changeJSON{c.Name, c.Apply})
	}
	return out
}

// changeLines says when changes take effect.
func changeLines(cs []*lnsv1.ConfigChange) (lines []string) {
	for _, c := range cs {
		when := map[string]string{"live": "at once", "new sessions": "for new tunnels and sessions", "restart": "at the next start"}[c.Apply]
		lines = append(lines, c.Name+" takes effect "+when)
	}
	return lines
}

func (a *app) configDiff(ctx context.Context, number string) error {
	r := &lnsv1.ConfigDiffRequest{}
	if n, err := strconv.ParseUint(number, 10, 64); err == nil {
		r.Commit = &n
	}
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Config.Diff(ctx, r)
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(a.env.Out, struct {
				Lines   []string     `json:"lines"`
				Changes []changeJSON `json:"changes"`
			}{list(reply.Lines), changesJSON(reply.Changes)})
		}
		return a.lines(append(reply.Lines, changeLines(reply.Changes)...))
	})
}

func (a *app) configCheck(ctx context.Context, _ string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Config.Check(ctx, &lnsv1.ConfigCheckRequest{})
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(a.env.Out, struct {
				Changes  []changeJSON `json:"changes"`
				Warnings []string     `json:"warnings"`
				Sessions uint64       `json:"sessions_disconnected"`
				Tunnels  uint64       `json:"tunnels_disconnected"`
			}{changesJSON(reply.Changes), list(reply.Warnings), reply.Sessions, reply.Tunnels})
		}
		lines := append(reply.Warnings, changeLines(reply.Changes)...)
		if reply.Tunnels > 0 {
			lines = append(lines, fmt.Sprintf("it would disconnect %d sessions of %d tunnels: commit takes --force", reply.Sessions, reply.Tunnels))
		} else {
			lines = append(lines, "no session is disconnected")
		}
		return a.lines(lines)
	})
}

func (a *app) configCommit(ctx context.Context, _ string) error {
	return a.committed(ctx, func(ctx context.Context, c *api.Client) (*lnsv1.ConfigCommitReply, error) {
		return c.Config.Commit(ctx, &lnsv1.ConfigCommitRequest{
			Comment: a.commit.comment, ConfirmSeconds: a.commit.seconds(), Force: a.commit.force,
		})
	})
}

func (a *app) configRollback(ctx context.Context, steps string) error {
	n, err := strconv.ParseUint(steps, 10, 32)
	if err != nil {
		return usageError{err}
	}
	return a.committed(ctx, func(ctx context.Context, c *api.Client) (*lnsv1.ConfigCommitReply, error) {
		return c.Config.Rollback(ctx, &lnsv1.ConfigRollbackRequest{
			Steps: uint32(n), ConfirmSeconds: a.commit.seconds(), Force: a.commit.force,
		})
	})
}

func (a *app) configConfirm(ctx context.Context, _ string) error {
	return a.committed(ctx, func(ctx context.Context, c *api.Client) (*lnsv1.ConfigCommitReply, error) {
		return c.Config.Confirm(ctx, &lnsv1.ConfigConfirmRequest{})
	})
}

// seconds rounds up: less than was asked for would be undone too early.
func (f commitFlags) seconds() uint32 { return uint32((f.confirmed + time.Second - 1) / time.Second) }

func (a *app) committed(ctx context.Context, do func(context.Context, *api.Client) (*lnsv1.ConfigCommitReply, error)) error {
	var reply *lnsv1.ConfigCommitReply
	err := a.call(ctx, func(ctx context.Context, c *api.Client) (err error) {
		if reply, err = do(ctx, c); err != nil {
			return err
		}
		return a.printCommit(reply)
	})
	if err != nil || !a.commit.watch || reply.UndoneAt == 0 {
		return err
	}
	if err := a.flush(); err != nil {
		return err
	}
	return a.countDown(ctx, reply.Commit)
}

func (a *app) printCommit(r *lnsv1.ConfigCommitReply) error {
	if a.json {
		return printJSON(a.env.Out, commitJSONOf(r))
	}
	lines := append(list(r.Notes), changeLines(r.Changes)...)
	if r.Sessions > 0 {
		lines = append(lines, fmt.Sprintf("%d sessions were disconnected", r.Sessions))
	}
	if r.Commit > 0 {
		lines = append(lines, fmt.Sprintf("commit %d is in force", r.Commit))
	}
	if r.UndoneAt != 0 {
		lines = append(lines, "it is undone at "+time.Unix(r.UndoneAt, 0).UTC().Format(time.DateTime)+" UTC unless config confirm is given")
	}
	return a.lines(lines)
}

type commitJSON struct {
	Commit   uint64       `json:"commit"`
	Changes  []changeJSON `json:"changes"`
	Notes    []string     `json:"notes"`
	Sessions uint64       `json:"sessions_disconnected"`
	UndoneAt int64        `json:"undone_at,omitempty"`
}

func commitJSONOf(r *lnsv1.ConfigCommitReply) commitJSON {
	return commitJSON{r.Commit, changesJSON(r.Changes), list(r.Notes), r.Sessions, r.UndoneAt}
}

func (a *app) configHistory(ctx context.Context, _ string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Config.History(ctx, &lnsv1.ConfigHistoryRequest{})
		if err != nil {
			return err
		}
		if a.json {
			return a.historyJSON(reply)
		}
		t := &table{w: a.env.Out, columns: []column{
			{title: "N", width: 3, right: true}, {title: "Commit", width: 6, right: true}, {title: "Time (UTC)", width: 19},
			{title: "By", width: 16}, {title: "Comment", width: 7},
		}}
		if err := t.head(); err != nil {
			return err
		}
		for _, e := range reply.Commits {
			comment := e.Comment
			if e.UndoneAt != 0 {
				comment = strings.TrimSpace(comment + " (undone at " + time.Unix(e.UndoneAt, 0).UTC().Format(time.DateTime) + " unless confirmed)")
			}
			if err := t.row(strconv.FormatUint(uint64(e.Steps), 10), strconv.FormatUint(e.Number, 10),
				time.Unix(e.Time, 0).UTC().Format(time.DateTime), e.By, comment); err != nil {
				return err
			}
		}
		if reply.Edited {
			return a.lines([]string{"the candidate has changes that are not committed"})
		}
		return nil
	})
}

func (a *app) historyJSON(reply *lnsv1.ConfigHistoryReply) error {
	type entry struct {
		Steps    uint32 `json:"n"`
		Number   uint64 `json:"commit"`
		Time     int64  `json:"time"`
		By       string `json:"by"`
		Comment  string `json:"comment"`
		UndoneAt int64  `json:"undone_at,omitempty"`
	}
	commits := []entry{}
	for _, e := range reply.Commits {
		commits = append(commits, entry{e.Steps, e.Number, e.Time, e.By, e.Comment, e.UndoneAt})
	}
	return printJSON(a.env.Out, struct {
		Commits []entry `json:"commits"`
		Edited  bool    `json:"candidate_edited"`
	}{commits, reply.Edited})
}
