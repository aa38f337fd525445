package config

import (
	"fmt"
	"slices"
)

// object merges "COMMAND NAME KEY VALUE..." into the lines about NAME: a key that has a
// value gets the new one where it stands, others are added to the last of the lines.
func (e *edit) object(cmd Command, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: %s", cmd.Usage())
	}
	at := e.matching(args[:2])
	if len(at) == 0 {
		e.add(args)
		return nil
	}
	pairs := args[2:]
	if len(pairs)%2 != 0 {
		return fmt.Errorf("the value of %s is missing", printable(pairs[len(pairs)-1]))
	}
	for ; len(pairs) > 0; pairs = pairs[2:] {
		e.pair(at, cmd.isMany(pairs[0]), pairs[0], pairs[1])
	}
	return nil
}

func (c Command) isMany(key string) bool {
	i := slices.IndexFunc(c.Keys, func(k Arg) bool { return k.Name == key })
	return i >= 0 && c.Keys[i].Many
}

// pair gives one key its value in the lines of an object.
func (e *edit) pair(at []int, many bool, key, value string) {
	for _, i := range at {
		w := e.lines[i].words
		for k := 2; k+1 < len(w); k += 2 {
			if w[k] != key || many && !sameValue(w[k+1], value) {
				continue
			}
			w = slices.Clone(w)
			if !many {
				w[k+1] = value
			}
			e.put(i, w)
			return
		}
	}
	last := at[len(at)-1]
	e.put(last, append(slices.Clone(e.lines[last].words), key, value))
}

// sameValue reports whether two values mean the same although one is written with the
// length that the other leaves out.
func sameValue(a, b string) bool {
	if a == b {
		return true
	}
	prefix := anyPrefix()
	p, err := prefix.parse(a)
	q, err2 := prefix.parse(b)
	return err == nil && err2 == nil && p == q
}

// takeBack runs "no COMMAND NAME [KEY [VALUE]]".
func (e *edit) takeBack(cmd Command, args []string) error {
	if len(args) < 2 || len(args) > 4 {
		return fmt.Errorf("usage: no %s NAME [KEY [VALUE]]", cmd.Name)
	}
	at := e.matching(args[:2])
	if len(args) == 2 {
		return e.remove(at)
	}
	found := false
	for _, i := range at {
		w := e.lines[i].words
		kept := slices.Clone(w[:2])
		for k := 2; k < len(w); k += 2 {
			if w[k] == args[2] && (len(args) == 3 || k+1 < len(w) && sameValue(w[k+1], args[3])) {
				found = true
				continue
			}
			kept = append(kept, w[k:min(k+2, len(w))]...)
		}
		e.put(i, kept)
	}
	if !found {
		return ErrNothing
	}
	return e.dropBare(args[:2])
}

// dropBare takes out lines that say nothing about their object any more, but for the
// last where there is no other.
func (e *edit) dropBare(object []string) error {
	at := e.matching(object)
	var bare []int
	for _, i := range at {
		if len(e.lines[i].words) == 2 {
			bare = append(bare, i)
		}
	}
	if len(bare) == 0 || len(bare) == len(at) && len(at) == 1 {
		return nil
	}
	return e.remove(bare)
}
