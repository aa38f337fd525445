package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) packetHookCommands() []command {
	direction := kind{
		check: func(s string) error {
			if s != "up" && s != "down" {
				return errors.New("must be up (from subscribers) or down (to them)")
			}
			return nil
		},
		complete: func(_ context.Context, _ *api.Client, prefix string) (words []string, _ error) {
			for _, w := range []string{"up", "down"} {
				if strings.HasPrefix(w, prefix) {
					words = append(words, w)
				}
			}
			return words, nil
		},
	}
	return []command{
		{words: "show hook", alias: "hooks", help: "Show the BPF functions that packets pass", run: a.showPacketHooks},
		{words: "hook load", host: true, args: []arg{{"up|down", false, direction}, {"FILE", false, kind{}}, {"FUNCTION", true, kind{}}},
			help: "Make all packets of a direction pass a function of a compiled BPF object", runs: a.loadPacketHook},
		{words: "hook unload", arg: &arg{"up|down", false, direction}, help: "Take a direction's BPF function out", run: a.unloadPacketHook},
	}
}

// maxObject bounds a BPF object, in bytes: what a request may carry.
const maxObject = 1<<20 - 4096

func packetDirection(word string) lnsv1.PacketDirection {
	if word == "up" {
		return lnsv1.PacketDirection_PACKET_DIRECTION_UP
	}
	return lnsv1.PacketDirection_PACKET_DIRECTION_DOWN
}

func (a *app) loadPacketHook(ctx context.Context, words []string) error {
	object, err := os.ReadFile(words[1])
	if err != nil {
		return err
	}
	if len(object) > maxObject {
		return fmt.Errorf("%s: larger than %d bytes; `llvm-strip -g` takes out what is not needed", words[1], maxObject)
	}
	r := &lnsv1.LoadPacketHookRequest{Direction: packetDirection(words[0]), Object: object}
	if len(words) > 2 {
		r.Function = words[2]
	}
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.LoadPacketHook(ctx, r)
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(a.env.Out, struct {
				Direction string `json:"direction"`
				Function  string `json:"function"`
			}{words[0], reply.Function})
		}
		return a.lines([]string{fmt.Sprintf("Packets %s pass %s.", words[0], escape(reply.Function))})
	})
}

func (a *app) unloadPacketHook(ctx context.Context, word string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		if _, err := c.UnloadPacketHook(ctx, &lnsv1.UnloadPacketHookRequest{Direction: packetDirection(word)}); err != nil {
			return err
		}
		if a.json {
			return printJSON(a.env.Out, struct {
				Direction string `json:"direction"`
				Function  string `json:"function"`
			}{word, ""})
		}
		return a.lines([]string{fmt.Sprintf("Packets %s pass no function.", word)})
	})
}

func (a *app) showPacketHooks(ctx context.Context, _ string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.PacketHooks(ctx, &lnsv1.PacketHooksRequest{})
		if err != nil {
			return err
		}
		if a.json {
			l := &jsonList{w: a.env.Out}
			for _, h := range reply.Hooks {
				err := l.item(struct {
					Direction string   `json:"direction"`
					Function  string   `json:"function"`
					Source    string   `json:"source"`
					Maps      []string `json:"maps"`
				}{directionWord(h.Direction), h.Function, h.Source, list(h.Maps)})
				if err != nil {
					return err
				}
			}
			return l.end()
		}
		t := &table{w: a.env.Out, columns: []column{{"Packets", 7, false}, {"Function", 16, false}, {"From", 24, false}, {"Maps", 0, false}}}
		for _, h := range reply.Hooks {
			if err := t.row(directionWord(h.Direction), or(h.Function, "none"), h.Source, strings.Join(h.Maps, ", ")); err != nil {
				return err
			}
		}
		return t.head()
	})
}

func directionWord(d lnsv1.PacketDirection) string {
	if d == lnsv1.PacketDirection_PACKET_DIRECTION_UP {
		return "up"
	}
	return "down"
}
