package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/dataplane"
)

var _ api.PacketHooksBackend = (*backend)(nil)

// packetHooks remembers where the functions for packets came from. What an operator has
// loaded is kept beside the journal: the next daemon goes on with it.
type packetHooks struct {
	dir string // "" keeps nothing

	mu     sync.Mutex
	source [2]string // up, down
	// set is the object that the configuration has put in; nil where an operator's
	// function is in force, or none.
	set [2]*dataplane.Hook
}

func newPacketHooks(c *config.Config) *packetHooks {
	return &packetHooks{dir: c.JournalDir()}
}

func (h *packetHooks) path(up bool) string {
	return filepath.Join(h.dir, "hook_"+directionWord(up))
}

func directionWord(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

func index(up bool) int {
	if up {
		return 0
	}
	return 1
}

// first is the function to begin with: what an operator has loaded, or else that of the
// configuration; nil for none.
func (h *packetHooks) first(up bool, c config.PacketHook, log *zap.Logger) *dataplane.Hook {
	if h.dir != "" {
		kept, err := os.ReadFile(h.path(up))
		if name, object, ok := bytes.Cut(kept, []byte{'\n'}); err == nil && ok {
			h.source[index(up)] = "an operator"
			return &dataplane.Hook{Object: object, Function: string(name)}
		}
	}
	if c.File == "" {
		return nil
	}
	object, err := os.ReadFile(c.File)
	if err != nil {
		log.Error("a hook for packets is left out", zap.Error(err))
		return nil
	}
	hook := &dataplane.Hook{Object: object, Function: c.Function}
	h.source[index(up)], h.set[index(up)] = c.File, hook
	return hook
}

// setter puts functions into the way of packets.
type setter interface {
	SetHook(up bool, h *dataplane.Hook) error
	HookFunction(up bool) string
}

// reload reads the objects that c names again and puts in what has changed. What an
// operator has loaded stays.
func (h *packetHooks) reload(c *config.Hooks, fast setter) (notes []string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, up := range []bool{true, false} {
		named := c.Down
		if up {
			named = c.Up
		}
		note, err := h.reloadOne(up, named, fast)
		if err != nil {
			return nil, fmt.Errorf("hook %s: %w", directionWord(up), err)
		}
		if note != "" {
			notes = append(notes, note)
		}
	}
	return notes, nil
}

func (h *packetHooks) reloadOne(up bool, named config.PacketHook, fast setter) (note string, err error) {
	i := index(up)
	if h.set[i] == nil && fast.HookFunction(up) != "" {
		if named.File == "" {
			return "", nil
		}
		return fmt.Sprintf("hook %s: what %s has loaded stays in force", directionWord(up), h.source[i]), nil
	}
	var next *dataplane.Hook
	if named.File != "" {
		object, err := os.ReadFile(named.File)
		if err != nil {
			return "", err
		}
		next = &dataplane.Hook{Object: object, Function: named.Function}
	}
	was := h.set[i]
	if was == nil && next == nil || was != nil && next != nil && was.Function == next.Function && bytes.Equal(was.Object, next.Object) {
		return "", nil
	}
	err = fast.SetHook(up, next)
	if errors.Is(err, dataplane.ErrNoXDP) {
		return fmt.Sprintf("hook %s: %v", directionWord(up), err), nil
	}
	if err != nil {
		return "", err
	}
	h.source[i], h.set[i] = named.File, next
	return "", nil
}

// keep writes an operator's function down; nil forgets it.
func (h *packetHooks) keep(up bool, hook *dataplane.Hook) error {
	if h.dir == "" {
		return nil
	}
	if hook == nil {
		if err := os.Remove(h.path(up)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	next := h.path(up) + ".new"
	if err := os.WriteFile(next, append([]byte(hook.Function+"\n"), hook.Object...), 0o600); err != nil {
		return err
	}
	return os.Rename(next, h.path(up))
}

// PacketHooks returns both directions.
func (b *backend) PacketHooks() (out [2]api.PacketHook) {
	h := b.d.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, up := range []bool{true, false} {
		if f := b.d.fast.HookFunction(up); f != "" {
			out[i] = api.PacketHook{Function: f, Source: h.source[i], Maps: b.d.fast.HookMaps(up)}
		}
	}
	return out
}

// LoadPacketHook puts a function into the way of packets.
func (b *backend) LoadPacketHook(up bool, object []byte, function, by string) (string, error) {
	h := b.d.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	hook := &dataplane.Hook{Object: object, Function: function}
	if err := b.d.fast.SetHook(up, hook); err != nil {
		return "", err
	}
	h.source[index(up)], h.set[index(up)] = by, nil
	hook.Function = b.d.fast.HookFunction(up)
	if err := h.keep(up, hook); err != nil {
		return hook.Function, fmt.Errorf("it is in force, but not after a restart: %w", err)
	}
	return hook.Function, nil
}

// UnloadPacketHook takes a function out.
func (b *backend) UnloadPacketHook(up bool) error {
	h := b.d.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	h.set[index(up)] = nil
	return errors.Join(b.d.fast.SetHook(up, nil), h.keep(up, nil))
}
