package dataplane

import (
	"errors"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/maps"
)

// Hook is an operator's compiled function that all packets of a direction pass in XDP.
type Hook = maps.Hook

// ErrNoXDP says that there is no XDP for a hook to be part of.
var ErrNoXDP = errors.New("XDP is off: there is nothing that a BPF function could be part of")

func direction(up bool) maps.Direction {
	if up {
		return maps.Up
	}
	return maps.Down
}

// SetHook puts a function into the way of packets, nil takes it out; it is in force at
// the return. On an error nothing has changed.
func (p *Plane) SetHook(up bool, h *Hook) error {
	err := p.maps.SetHook(direction(up), h)
	if err == nil {
		p.log.Info("hook for packets", zap.Stringer("direction", direction(up)), zap.String("function", p.HookFunction(up)))
	}
	return err
}

// HookFunction is the name of the function in force, "" for none.
func (p *Plane) HookFunction(up bool) string { return p.maps.HookFunction(direction(up)) }

// HookMaps are the paths where the maps of a hook are pinned.
func (p *Plane) HookMaps(up bool) []string { return p.maps.HookMaps(direction(up)) }

// firstHooks puts in what Config says, before anything is attached. A hook that can't be
// had is left out: no subscriber is to be without service for it.
func (p *Plane) firstHooks() error {
	for _, up := range []bool{true, false} {
		h := p.cfg.HookDown
		if up {
			h = p.cfg.HookUp
		}
		if h == nil {
			if err := p.maps.DropHookMaps(direction(up)); err != nil {
				return err
			}
			continue
		}
		if err := p.SetHook(up, h); err != nil {
			p.log.Error("a hook for packets is left out", zap.Stringer("direction", direction(up)), zap.Error(err))
		}
	}
	return nil
}

// SetHook refuses: no packet takes this path.
func (n *Null) SetHook(_ bool, h *Hook) error {
	if h == nil {
		return nil
	}
	return ErrNoXDP
}

// HookFunction returns nothing.
func (n *Null) HookFunction(bool) string { return "" }

// HookMaps returns nothing.
func (n *Null) HookMaps(bool) []string { return nil }
