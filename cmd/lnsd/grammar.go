package main

import (
	"context"

	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/config"
)

// Grammar is the tables of commands and settings, with what is in force.
func (l *live) Grammar(context.Context) (*lnsv1.GrammarReply, error) {
	l.mu.Lock()
	c := l.config
	l.mu.Unlock()
	reply := &lnsv1.GrammarReply{}
	for _, cmd := range config.Commands() {
		g := &lnsv1.GrammarCommand{Name: cmd.Name, Help: cmd.Help, Usage: cmd.Usage(), Within: cmd.IsPart(), Keys: grammarArgs(cmd.Keys), Args: grammarArgs(cmd.Args)}
		if len(g.Args) > 0 {
			g.Args[0].Known = c.Names(cmd.Name)
		}
		reply.Commands = append(reply.Commands, g)
	}
	for _, s := range config.Settings() {
		reply.Settings = append(reply.Settings, &lnsv1.GrammarSetting{
			Name: s.Name, Type: s.Type, Unit: s.Unit, Range: s.Range, Words: s.Words, DefaultValue: s.Default,
			Apply: s.Apply.String(), Help: s.Help, Value: s.Shown(c),
		})
	}
	return reply, nil
}

func grammarArgs(args []config.Arg) (out []*lnsv1.GrammarArg) {
	for _, a := range args {
		out = append(out, &lnsv1.GrammarArg{Name: a.Name, Help: a.Help, Words: a.Words, Optional: a.Optional, Rest: a.Rest})
	}
	return out
}
