package login

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// The hashes are what crypt(3) of glibc makes, and lnsctl password.
const users = `# operators
plain:sushi
md5:$1$saltsalt$GGcKxkJNl4nTTToQdyynt.
des:{crypt}abYd2O4puKFWQ
five:$5$saltsalt$/xCn4xVgBUXop9aV8/xQov.jpN2MnpFmLStPUUNwPS1
six:$6$saltsalt$vhfFjJKX43eGlNGzmkNqor88RLbz.WxUShoOZk2KcOEupGJnr7Rm65XqsbTRcs1YP2qSOkHZW5nlP4L1Kqd5V0
crypt6:{crypt}$6$saltsalt$vhfFjJKX43eGlNGzmkNqor88RLbz.WxUShoOZk2KcOEupGJnr7Rm65XqsbTRcs1YP2qSOkHZW5nlP4L1Kqd5V0
bcrypt:$2b$04$hUMgQjfQdIWNcPBDNi2UAOCgOi0.yvdKI1f.2vTKoqLNeNzb3AfVe
yes:$y$j75$AAt9R641xPvCI9nXw1HHW/$b.l8p5STQZP6sbf4Bw1frWZiZUTRNiaaJS2NOET3JY8
yes9:$y$j9T$AAt9R641xPvCI9nXw1HHW/$jLuDXoL8mzSEwcEQ9lzKmCbBs320WPsz.IF8GcgozmA
scrypt:$7$CU..../....saltsalt$ZiQ1fkCAnOXvIEshnEcQfzLIuaFV.m8OldPcRrNWfV4
cut:$y$j9T$abc$def
gost:$gy$j75$AAt9R641xPvCI9nXw1HHW/$T8XTeRdTWsKWg6.X9MWE4GL7lACuZijHrfm2nsCCwr3
  
colon:a:b
! more
enable:$1$saltsalt$GGcKxkJNl4nTTToQdyynt.
`

func TestPasswordsOfEveryKind(t *testing.T) {
	u, _ := Parse(users)
	for name, password := range map[string]string{
		"plain": "sushi", "md5": "sushi", "five": "sushi", "six": "sushi", "crypt6": "sushi",
		"yes": "sushi",
		"des": "sushi-and-more", "colon": "a:b",
	} {
		if !u.Check(name, password) {
			t.Errorf("%s does not get in", name)
		}
		for _, wrong := range []string{"", "sush", "Sushi", u.passwords[name] + "x", strings.Repeat("x", 1000)} {
			if u.Check(name, wrong) {
				t.Errorf("%s gets in with %q", name, wrong)
			}
		}
	}
	// What Debian's passwd makes takes its time, so once is enough.
	if !u.Check("yes9", "sushi") {
		t.Error("yes9 does not get in")
	}
	// crypt(3) with DES looks at eight characters.
	if !u.Check("des", "sushi-an") || u.Check("des", "sushi-a") {
		t.Error("DES looks at more or fewer than eight characters")
	}
	for _, nobody := range []string{"", "nobody", "enable", "cut", "gost", "scrypt", "# operators"} {
		if u.Check(nobody, "sushi") {
			t.Errorf("%q gets in", nobody)
		}
	}
	if !u.CheckEnable("sushi") || u.CheckEnable("") || !u.HasEnable() {
		t.Error("enable")
	}
	u, _ = Parse("enable-intercept:sushi\n")
	if u.Check("enable-intercept", "sushi") || u.CheckEnable("sushi") || !u.CheckIntercept("sushi") || u.CheckIntercept("x") || !u.Empty() {
		t.Error("enable-intercept")
	}
	u, _ = Parse(users)
	if u.CheckIntercept("sushi") || u.CheckIntercept("") {
		t.Error("somebody may intercept without an entry")
	}
	// A hash itself is no password.
	if u.Check("md5", "$1$saltsalt$GGcKxkJNl4nTTToQdyynt.") {
		t.Error("the hash gets in")
	}
}

func TestNobodyGetsInWithoutAFile(t *testing.T) {
	u := &Users{}
	if u.Check("", "") || u.Check("root", "") || u.CheckEnable("") || !u.Empty() {
		t.Error("somebody gets in without a users file")
	}
	u, _ = Parse("enable:x\n")
	if !u.Empty() {
		t.Error("enable alone lets somebody log in")
	}
}

func TestUsersFileSaysWhatIsWrong(t *testing.T) {
	u, problems := Parse("nonsense\n:x\na:\nb b:x\nc:x\nc:y\nd:$gy$j75$a$b\n")
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.String())
	}
	for i, want := range []string{"line 1: must be", "line 2: must be", "line 3: must be", "line 4: the name", "line 5: the password is there", "line 6: the user is named twice",
		"line 7: the password is a hash of a kind"} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], want) {
			t.Fatalf("%v", lines)
		}
	}
	if !u.Check("c", "x") || u.Check("c", "y") {
		t.Error("the second entry counts")
	}
}

func FuzzUsers(f *testing.F) {
	f.Add(users, "plain", "sushi")
	f.Add("a:{crypt}\n", "a", "b")
	f.Add("a:$1$\n", "a", "")
	f.Add("a:$argon2id$v=19$m=65536,t=1,p=1$\n", "a", "b")
	f.Fuzz(func(t *testing.T, text, name, password string) {
		if strings.Contains(text, "$argon2") || strings.Contains(text, "rounds=") || strings.Contains(text, "$2") || strings.Contains(text, "$y$") {
			return // its costs are the file's to choose
		}
		u, _ := Parse(text)
		if u.Check(name, password) && u.Empty() {
			t.Error("somebody gets in where nobody can")
		}
	})
}

func TestGuessersGetSlower(t *testing.T) {
	now := time.Unix(1e9, 0)
	var slept time.Duration
	g := NewGuardWith(func() time.Time { return now }, func(_ context.Context, d time.Duration) { slept += d })
	from, other := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	no, yes := func() bool { return false }, func() bool { return true }
	try := func(a netip.Addr, check func() bool) time.Duration {
		slept = 0
		g.Check(context.Background(), a, check)
		return slept
	}
	for i, want := range []time.Duration{1, 2, 3, 5, 9, 17, 31, 31} {
		if got := try(from, no); got != want*time.Second {
			t.Errorf("guess %d costs %v, want %ds", i, got, want)
		}
	}
	if got := try(other, yes); got != 0 {
		t.Errorf("another address waits %v", got)
	}
	if got := try(from, yes); got != 30*time.Second {
		t.Errorf("the right password costs %v", got)
	}
	if got := try(from, no); got != time.Second {
		t.Errorf("after the right password a wrong one costs %v", got)
	}
	now = now.Add(time.Hour)
	if got := try(from, no); got != time.Second {
		t.Errorf("an hour later a wrong one costs %v", got)
	}
	// A host has its whole /64 to guess from.
	try(netip.MustParseAddr("2001:db8::1"), no)
	if got := try(netip.MustParseAddr("2001:db8::2"), no); got != 2*time.Second {
		t.Errorf("the neighbour waits %v", got)
	}
	for i := range maxAddresses * 2 {
		try(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), no)
	}
	if len(g.failed) > maxAddresses {
		t.Errorf("%d addresses are remembered", len(g.failed))
	}
}

// Whatever is stored as a hash: no password of another is right, and nothing ends the
// daemon.
func FuzzHash(f *testing.F) {
	for line := range strings.Lines(users) {
		if _, hash, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			f.Add(hash, "sushi")
		}
	}
	f.Add("{crypt}a", "")
	f.Add("$1$$", "x")
	f.Fuzz(func(t *testing.T, stored, password string) {
		if strings.Contains(stored, "rounds=") || kindOf(stored) == kindBcrypt || kindOf(stored) == kindArgon2 || kindOf(stored) == kindYescrypt {
			return // its costs are the file's to choose
		}
		if len(password) > maxPassword && verify(stored, password) {
			t.Error("a password without an end is right")
		}
		if verify(stored, password) && kindOf(stored) != plain && kindOf(stored) != kindDES && verify(stored, password+"x") {
			t.Errorf("%q passes whatever the password is", stored)
		}
	})
}
