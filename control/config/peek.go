package config

import "strings"

// Peek returns the value that a text gives to a setting, or its default, however faulty
// the rest of the text may be.
func Peek(text, name string) string {
	value := ""
	for _, s := range Settings() {
		if s.Name == name {
			value = s.Default
		}
	}
	for line := range strings.Lines(text) {
		toks, err := words(strings.TrimRight(line, "\r\n"))
		if err == nil && len(toks) == 3 && toks[0].text == "set" && toks[1].text == name {
			value = toks[2].text
		}
	}
	return value
}
