package config

import (
	"path/filepath"
	"strings"
)

// PacketHook is a compiled BPF function that all packets of a direction pass.
type PacketHook struct {
	// File is the object's path, "" for none.
	File string
	// Function is its name, "" for the only one in it.
	Function string
}

func packetHookCommands() []Command {
	return []Command{{
		Name: "hook", Help: "Make all packets of a direction pass a function of a compiled BPF object.", run: (*builder).packetHook, Args: []Arg{
			{Name: "DIRECTION", Type: "word", Words: []string{"up", "down"}, Help: "What subscribers send, or what they receive."},
			{Name: "FILE [FUNCTION]", Type: "file", Help: "The object, and the function's name where it has several.", Rest: true},
		},
	}}
}

// packetHook runs "hook up|down FILE [FUNCTION]".
func (b *builder) packetHook(args []token) {
	h := &b.c.Hooks.Up
	if args[0].text == "down" {
		h = &b.c.Hooks.Down
	}
	switch {
	case h.File != "":
		b.fail(b.at(args[0]), "", "there are two functions for packets %s", args[0].text)
	case !filepath.IsAbs(args[1].text):
		b.fail(b.at(args[1]), "", "FILE must be an absolute path")
	case len(args) > 3:
		b.fail(b.at(args[3]), "", "there is a word too many")
	default:
		h.File = args[1].text
		if len(args) == 3 {
			h.Function = args[2].text
		}
	}
}

// Hooks are what packets pass besides what lnsd does with them.
type Hooks struct{ Up, Down PacketHook }

func (h *Hooks) render(w *strings.Builder) {
	for _, d := range []struct {
		word string
		hook PacketHook
	}{{"up", h.Up}, {"down", h.Down}} {
		if d.hook.File == "" {
			continue
		}
		w.WriteString("hook " + d.word + " " + quoted(d.hook.File))
		if d.hook.Function != "" {
			w.WriteString(" " + quoted(d.hook.Function))
		}
		w.WriteString("\n")
	}
}
