package hooks

import (
	"fmt"
	"slices"
	"sync"
)

// Reload puts other settings in force, all or none: what they load and the former ones
// did not is loaded, what they load no more is ended, and a program that is defined
// otherwise is replaced. What stays is not disturbed. What an operator has loaded or
// removed since stays so, unless the settings speak of it now; it is asked behind what
// they load.
func (c *Chain) Reload(s Settings) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	old := c.settings.Load()
	for _, name := range s.Load {
		if _, ok := s.external(name); !ok && !slices.Contains(BuiltIns(), name) {
			return fmt.Errorf("plugin %s: %w", name, ErrUnknown)
		}
		if _, ok := s.external(name); !ok && name == "garden" && s.Garden == "" {
			return fmt.Errorf("plugin %s: %w", name, errNoGarden)
		}
	}
	c.settings.Store(&s) // the links to come are made of it
	next, ended, err := c.relink(old, &s)
	if err != nil {
		c.settings.Store(old)
		return err
	}
	c.links.Store(&next)
	var ending sync.WaitGroup
	for _, l := range ended {
		ending.Go(l.close)
	}
	ending.Wait()
	return nil
}

// relink makes the chain of new settings out of the present one.
func (c *Chain) relink(old, s *Settings) (next, ended []*link, err error) {
	present := *c.links.Load()
	var made []*link
	have := func(name string) (*link, error) {
		l := c.find(name)
		if l != nil && sameProgram(old, s, name) {
			return l, nil
		}
		if l == nil && slices.Contains(old.Load, name) {
			return nil, nil // an operator has removed it
		}
		l, err := c.make(s, name)
		if err == nil {
			made = append(made, l)
		}
		return l, err
	}
	add := func(name string) error {
		l, err := have(name)
		if l != nil {
			next = append(next, l)
		}
		return err
	}
	for _, name := range s.Load {
		if err = add(name); err != nil {
			break
		}
	}
	for _, l := range present {
		if err != nil {
			break
		}
		_, defined := s.external(l.name)
		gone := slices.Contains(old.Load, l.name) || !defined && !slices.Contains(BuiltIns(), l.name)
		if !slices.Contains(s.Load, l.name) && !gone {
			err = add(l.name)
		}
	}
	if err != nil {
		for _, l := range made {
			l.close()
		}
		return nil, nil, err
	}
	for _, l := range present {
		if !slices.Contains(next, l) {
			ended = append(ended, l)
		}
	}
	return next, ended, nil
}

// sameProgram reports whether a name means the same in both settings.
func sameProgram(a, b *Settings, name string) bool {
	x, inA := a.external(name)
	y, inB := b.external(name)
	return inA == inB && x == y
}
