package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/term"
)

// maxBcrypt is how much of a password bcrypt looks at.
const maxBcrypt = 72

// bcryptCost makes a guess cost about a quarter of a second.
const bcryptCost = 12

func (a *app) passwordCommands() []command {
	return []command{{
		words: "password", host: true,
		help: "Make a line for the users file of a password that is asked for, or read from standard input",
		arg:  &arg{"USER", false, kind{check: operatorName}},
		run:  a.password,
	}}
}

func operatorName(s string) error {
	if s == "" || strings.ContainsAny(s, ": \t") || escape(s) != s {
		return errors.New("must be a name without blanks and colons, or enable")
	}
	return nil
}

// password prints "USER:HASH".
func (a *app) password(_ context.Context, user string) error {
	p, err := a.readPassword()
	switch {
	case err != nil:
		return err
	case p == "":
		return usageError{errors.New("the password is empty")}
	case len(p) > maxBcrypt:
		return usageError{fmt.Errorf("the password is longer than %d bytes", maxBcrypt)}
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(p), bcryptCost)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.env.Out, "%s:%s\n", user, hash)
	return err
}

func (a *app) readPassword() (string, error) {
	in := a.env.In
	if in == nil {
		in = os.Stdin
	}
	fd := int(in.Fd())
	if !term.IsTerminal(fd) {
		line, err := bufio.NewReader(in).ReadString('\n')
		if err != nil && line == "" {
			return "", err
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	first, err := a.hidden(fd, "Password: ")
	if err != nil {
		return "", err
	}
	second, err := a.hidden(fd, "Again: ")
	if err == nil && first != second {
		err = usageError{errors.New("the passwords differ")}
	}
	return first, err
}

func (a *app) hidden(fd int, prompt string) (string, error) {
	fmt.Fprint(a.env.Err, prompt)
	b, err := term.ReadPassword(fd)
	fmt.Fprintln(a.env.Err)
	return string(b), err
}
