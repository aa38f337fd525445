// Package login decides who may use a shell of the daemon: l2tpns' users file with its
// kinds of passwords, and the slowing down of those who guess.
package login

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/GehirnInc/crypt"
	"github.com/GehirnInc/crypt/md5_crypt"
	"github.com/GehirnInc/crypt/sha256_crypt"
	"github.com/GehirnInc/crypt/sha512_crypt"
	"github.com/go-crypt/x/yescrypt"
	"github.com/sergeymakinen/go-crypt/argon2"
	"github.com/sergeymakinen/go-crypt/des"
	"golang.org/x/crypto/bcrypt"
)

// The entries that are no users: enableName has the password for "enable", and
// interceptName that for "enable intercept".
const (
	enableName    = "enable"
	interceptName = "enable-intercept"
)

// Users are the entries of a users file.
type Users struct {
	passwords map[string]string
}

// Problem is a line of the file that says nothing, or something that should not be.
type Problem struct {
	Line    int
	Message string
}

// String returns the place and the message.
func (p Problem) String() string { return fmt.Sprintf("line %d: %s", p.Line, p.Message) }

// maxFile bounds what is read of a users file.
const maxFile = 1 << 20

// Load reads a users file. Without one nobody has a password.
func Load(path string) (*Users, []Problem, error) {
	f, err := os.Open(path)
	if err != nil {
		return &Users{}, nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return &Users{}, nil, err
	}
	u, problems := Parse(string(b))
	return u, problems, nil
}

// Parse reads the text of a users file: USER:PASSWORD lines, and comments that begin
// with # or !. A password is a hash as crypt(3) makes it ($1$ MD5, $5$, $6$, $2b$,
// $y$, $argon2), "{crypt}" and a hash (DES then), or the password itself.
func Parse(text string) (*Users, []Problem) {
	u := &Users{passwords: map[string]string{}}
	var problems []Problem
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimRight(line, "\r\n")
		if line = strings.TrimLeft(line, " \t"); line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		name, password, ok := strings.Cut(line, ":")
		_, twice := u.passwords[name]
		switch {
		case !ok || name == "" || password == "":
			problems = append(problems, Problem{n, "must be USER:PASSWORD"})
			continue
		case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
			problems = append(problems, Problem{n, "the name of a user has no blanks"})
			continue
		case twice:
			problems = append(problems, Problem{n, "the user is named twice; the first entry counts"})
			continue
		case kindOf(password) == unknownHash:
			problems = append(problems, Problem{n, "the password is a hash of a kind that is not known here, and lets nobody in: lnsctl password makes another"})
		case kindOf(password) == plain:
			problems = append(problems, Problem{n, "the password is there for everybody to read who can read the file: lnsctl password makes a hash"})
		}
		u.passwords[name] = password
	}
	return u, problems
}

// Empty reports whether nobody can log in with a password.
func (u *Users) Empty() bool {
	for name := range u.passwords {
		if name != enableName && name != interceptName {
			return false
		}
	}
	return true
}

// HasEnable reports whether there is a password for "enable".
func (u *Users) HasEnable() bool { return u.passwords[enableName] != "" }

// stranger takes as long to check as most entries, so that the time does not tell which
// names there are. No password has this hash.
const stranger = "$6$saltsaltsaltsalt$strangerstrangerstrangerstrangerstrangerstrangerstrangerstrangerstrang"

// maxPassword bounds what is hashed for somebody unknown.
const maxPassword = 256

// Check reports whether a password is that of a user.
func (u *Users) Check(name, password string) bool {
	stored, ok := u.passwords[name]
	if !ok || name == enableName || name == interceptName {
		_ = verify(stranger, password)
		return false
	}
	return verify(stored, password)
}

// CheckEnable reports whether a password is the one for "enable"; without an entry none
// is.
func (u *Users) CheckEnable(password string) bool {
	stored, ok := u.passwords[enableName]
	return ok && verify(stored, password)
}

// CheckIntercept is CheckEnable for "enable intercept".
func (u *Users) CheckIntercept(password string) bool {
	stored, ok := u.passwords[interceptName]
	return ok && verify(stored, password)
}

// kind is how a password is kept.
type kind int

const (
	plain kind = iota
	kindDES
	kindMD5
	kindSHA256
	kindSHA512
	kindBcrypt
	kindArgon2
	kindYescrypt
	unknownHash
)

func kindOf(stored string) kind {
	if inner, ok := strings.CutPrefix(stored, "{crypt}"); ok {
		if !strings.HasPrefix(inner, "$") {
			return kindDES
		}
		stored = inner
	}
	for _, p := range []struct {
		prefix string
		kind   kind
	}{
		{"$1$", kindMD5}, {"$5$", kindSHA256}, {"$6$", kindSHA512},
		{"$2a$", kindBcrypt}, {"$2b$", kindBcrypt}, {"$2y$", kindBcrypt}, {"$argon2", kindArgon2},
		{"$y$", kindYescrypt}, {"$7$", unknownHash}, {"$gy$", unknownHash}, {"$sha1$", unknownHash}, {"$md5", unknownHash}, {"$3$", unknownHash},
	} {
		if strings.HasPrefix(stored, p.prefix) {
			return p.kind
		}
	}
	return plain
}

// verify hashes a password as it is stored and compares. A fault of a library is a wrong
// password: nobody must end the daemon by what he types.
func verify(stored, password string) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	if len(password) > maxPassword {
		return false
	}
	hash := strings.TrimPrefix(stored, "{crypt}")
	var err error
	switch kindOf(stored) {
	case plain:
		a, b := sha256.Sum256([]byte(stored)), sha256.Sum256([]byte(password))
		return subtle.ConstantTimeCompare(a[:], b[:]) == 1
	case kindDES:
		// crypt(3) looks at eight characters.
		err = des.Check(hash, password[:min(8, len(password))])
	case kindMD5:
		err = crypted(md5_crypt.New(), hash, password)
	case kindSHA256:
		err = crypted(sha256_crypt.New(), hash, password)
	case kindSHA512:
		err = crypted(sha512_crypt.New(), hash, password)
	case kindBcrypt:
		err = bcrypt.CompareHashAndPassword([]byte(hash), []byte(password))
	case kindArgon2:
		err = argon2.Check(hash, password)
	case kindYescrypt:
		var made []byte
		made, err = yescrypt.Hash([]byte(password), []byte(hash))
		return err == nil && subtle.ConstantTimeCompare(made, []byte(hash)) == 1
	default:
		return false
	}
	return err == nil
}

func crypted(c crypt.Crypter, hash, password string) error { return c.Verify(hash, []byte(password)) }
