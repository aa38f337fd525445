package radius

import (
	"bufio"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// freeradius is a running FreeRADIUS with the configuration that is packaged.
type freeradius struct {
	auth, acct uint16
	log        string // directory
	process    *os.Process
}

const (
	freeradiusBinary = "/usr/sbin/freeradius"
	packaged         = "../../packaging/freeradius"
	// packagedSecret is the secret in the packaged clients.conf.
	packagedSecret = "change-me"
)

// startFreeRADIUS runs the packaged configuration on free ports and in folders of
// its own. change may alter a file's text before it is written.
func startFreeRADIUS(t *testing.T, change func(name, text string) string) *freeradius {
	t.Helper()
	if _, err := os.Stat(freeradiusBinary); err != nil {
		t.Skip("FreeRADIUS is not installed (Debian package freeradius):", err)
	}
	dir := t.TempDir()
	f := &freeradius{auth: freePort(t), acct: freePort(t), log: filepath.Join(dir, "log")}
	raddb := filepath.Join(dir, "raddb")
	for _, d := range []string{raddb, f.log, filepath.Join(dir, "run")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"radiusd.conf", "clients.conf", "users", "policy", "access_reject", "dictionary"} {
		b, err := os.ReadFile(filepath.Join(packaged, name))
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		if name == "radiusd.conf" {
			for from, to := range map[string]string{
				"raddbdir = /etc/freeradius/lnsd": "raddbdir = " + raddb,
				"logdir = /var/log/freeradius":    "logdir = " + f.log,
				"run_dir = /run/freeradius":       "run_dir = " + filepath.Join(dir, "run"),
				"port = 1812":                     fmt.Sprint("port = ", f.auth),
				"port = 1813":                     fmt.Sprint("port = ", f.acct),
			} {
				if strings.Count(text, from) != 1 {
					t.Fatalf("radiusd.conf does not hold %q once", from)
				}
				text = strings.Replace(text, from, to, 1)
			}
		}
		if change != nil {
			text = change(name, text)
		}
		if err := os.WriteFile(filepath.Join(raddb, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f.run(t, raddb)
	return f
}

// run starts the server in the foreground and waits until it is ready.
func (f *freeradius) run(t *testing.T, raddb string) {
	t.Helper()
	cmd := exec.Command(freeradiusBinary, "-f", "-l", "stdout", "-d", raddb)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	f.process = cmd.Process
	ready, ended := make(chan bool, 1), make(chan struct{})
	var lines []string
	go func() {
		defer close(ended)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines = append(lines, s.Text())
			if strings.Contains(s.Text(), "Ready to process requests") {
				ready <- true
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Log("FreeRADIUS said:\n" + strings.Join(lines, "\n"))
		}
	})
	select {
	case <-ready:
	case <-ended:
		t.Fatal("FreeRADIUS did not start")
	case <-time.After(30 * time.Second):
		t.Fatal("FreeRADIUS does not get ready")
	}
}

// freePort returns a UDP port that is free at the moment.
func freePort(t *testing.T) uint16 {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Port()
}

// config is lnsd's side, with the default times.
func (f *freeradius) config() Config {
	return Config{
		NASIdentifier: "lns1", NASAddress: netip.MustParseAddr("198.51.100.1"), NASPortType: 5,
		Servers: []Server{{Addr: netip.MustParseAddr("127.0.0.1"), AuthPort: f.auth, AcctPort: f.acct, Secret: []byte(packagedSecret)}},
	}
}

func chapRequest(user, password string) *session.AuthRequest {
	challenge := []byte("a challenge of no set length")
	sum := md5.Sum(append(append([]byte{9}, password...), challenge...))
	return &session.AuthRequest{User: user, Method: session.AuthCHAP, ID: 9, Challenge: challenge, Response: sum[:], Call: testCall()}
}

// mschapRequest is the example of RFC 2759 section 9.2: user "User", password
// "clientPass".
func mschapRequest(t *testing.T) *session.AuthRequest {
	t.Helper()
	var b [2][]byte
	for i, s := range []string{"5B5D7C7D7B3F2F3E3C2C602132262628",
		"21402324255E262A28295F2B3A337C7E" + "0000000000000000" + "82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF" + "00"} {
		var err error
		if b[i], err = hex.DecodeString(s); err != nil {
			t.Fatal(err)
		}
	}
	return &session.AuthRequest{User: "User", Method: session.AuthMSCHAPv2, ID: 9, Challenge: b[0], Response: b[1], Call: testCall()}
}

// addUser puts the user of RFC 2759's example beside those that are packaged.
func addUser(name, text string) string {
	if name == "users" {
		text += "\nUser\tCleartext-Password := \"clientPass\"\n\tReply-Message = \"Welcome, \",\n\tReply-Message += \"user.\"\n"
	}
	return text
}

func TestFreeRADIUSAuthentication(t *testing.T) {
	f := startFreeRADIUS(t, addUser)
	c, r := newTestClient(t, f.config())
	alice := session.Profile{
		Address:        netip.MustParseAddr("10.0.0.7"),
		Routes:         prefixes("192.168.7.0/24", "172.16.4.0/22"),
		DNS:            [2]netip.Addr{ip("192.0.2.53"), ip("192.0.2.54")},
		NBNS:           [2]netip.Addr{ip("192.0.2.137"), ip("192.0.2.138")},
		SessionTimeout: 24 * time.Hour, IdleTimeout: 30 * time.Minute, InterimInterval: 10 * time.Minute,
		Class: [][]byte{[]byte("tariff-7"), []byte("contract-42")},
	}
	pap := func(user, password string) *session.AuthRequest {
		return &session.AuthRequest{User: user, Method: session.AuthPAP, Password: []byte(password), Call: testCall()}
	}
	wrong := mschapRequest(t)
	wrong.Response[30] ^= 1
	for i, k := range []struct {
		name    string
		q       *session.AuthRequest
		verdict session.Verdict
		message string
		profile session.Profile
	}{
		{"PAP", pap("alice", "correct horse"), session.Accept, "", alice},
		{"PAP wrong", pap("alice", "wrong"), session.Reject, "", session.Profile{}},
		{"PAP long and wrong", pap("alice", strings.Repeat("x", 128)), session.Reject, "", session.Profile{}},
		{"CHAP", chapRequest("alice", "correct horse"), session.Accept, "", alice},
		{"CHAP wrong", chapRequest("alice", "wrong"), session.Reject, "", session.Profile{}},
		{"MS-CHAPv2", mschapRequest(t), session.Accept, "Welcome, user.", session.Profile{}},
		{"MS-CHAPv2 wrong", wrong, session.Reject, "E=691 R=0", session.Profile{}},
		{"pool and Ascend", pap("bob", "hunter2"), session.Accept, "",
			session.Profile{Pool: "gold", DNS: [2]netip.Addr{ip("192.0.2.55"), ip("192.0.2.56")}}},
		{"NAS assigns", chapRequest("carol", "secret"), session.Accept, "", session.Profile{User: "carol@example.net"}},
		{"closed account", pap("dave", ""), session.Reject, "Your account is closed.", session.Profile{}},
		{"unknown user", chapRequest("mallory", "x"), session.Reject, "", session.Profile{}},
	} {
		t.Run(k.name, func(t *testing.T) {
			k.q.Ref = session.Ref{TunnelID: 1, SessionID: 2, Serial: uint32(i)}
			if !c.Authenticate(k.q) {
				t.Fatal("refused")
			}
			a := r.wait()
			a.Profile.Origins = nil // of no interest here
			if a.Ref != k.q.Ref || a.Verdict != k.verdict || !reflect.DeepEqual(a.Profile, k.profile) {
				t.Errorf("got %+v\nwant verdict %d, %+v", a, k.verdict, k.profile)
			}
			if !strings.HasPrefix(a.Message, k.message) || k.message == "" && a.Message != "" {
				t.Errorf("message %q, want %q", a.Message, k.message)
			}
			// RFC 2759 section 9.2.
			if want := "S=407A5589115FD0D6209F510FE9C04566932CDA56"; k.name == "MS-CHAPv2" && a.MSCHAPSuccess != want {
				t.Errorf("MS-CHAPv2 success %q, want %q", a.MSCHAPSuccess, want)
			}
		})
	}
	if v := c.Servers()[0]; !v.MessageAuthenticator || v.State != "up" || v.BadAnswers != 0 || v.Timeouts != 0 {
		t.Errorf("server %+v, want it to sign its answers", v)
	}
}

// A FreeRADIUS that does not sign works under auto, not under yes.
func TestFreeRADIUSUnsigned(t *testing.T) {
	f := startFreeRADIUS(t, func(name, text string) string {
		if name == "radiusd.conf" {
			const sign = "&Message-Authenticator := 0x00"
			if strings.Count(text, sign) != 2 {
				t.Fatal("the packaged configuration does not sign")
			}
			text = strings.ReplaceAll(text, sign, `&Tmp-String-0 := ""`)
		}
		return text
	})
	for _, k := range []struct {
		rule RequireMessageAuthenticator
		want session.Verdict
	}{{RequireAuto, session.Accept}, {RequireNo, session.Accept}, {RequireYes, session.Unavailable}} {
		cfg := f.config()
		cfg.Servers[0].MessageAuthenticator, cfg.AuthTimeout = k.rule, 3*time.Second
		c, r := newTestClient(t, cfg)
		c.Authenticate(chapRequest("carol", "secret"))
		if a := r.wait(); a.Verdict != k.want {
			t.Errorf("rule %d: %+v, want verdict %d", k.rule, a, k.want)
		}
		if v := c.Servers()[0]; v.MessageAuthenticator || (v.BadAnswers > 0) != (k.rule == RequireYes) {
			t.Errorf("rule %d: server %+v", k.rule, v)
		}
	}
}

// With another secret the server is silent or its answers are not believed.
func TestFreeRADIUSWrongSecret(t *testing.T) {
	f := startFreeRADIUS(t, nil)
	cfg := f.config()
	cfg.Servers[0].Secret, cfg.AuthTimeout, cfg.AcctTimeout = []byte("other"), 2*time.Second, 2*time.Second
	c, r := newTestClient(t, cfg)
	c.Authenticate(chapRequest("carol", "secret"))
	c.Account(startRecord(1))
	if a := r.wait(); a.Verdict != session.Unavailable {
		t.Errorf("got %+v", a)
	}
	eventually(t, "record given up", func() bool { return count(c, "radius_acct_lost") == 1 })
}

// What FreeRADIUS writes into its detail file is what lnsd meant.
func TestFreeRADIUSAccounting(t *testing.T) {
	f := startFreeRADIUS(t, nil)
	c, _ := newTestClient(t, f.config())
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	rec := session.AcctRecord{
		Ref: testRef, Kind: session.AcctStart, At: at, User: "alice", Method: session.AuthCHAP,
		Address: ip("10.0.0.7"), Routes: prefixes("192.168.7.0/24"),
		Class: [][]byte{[]byte("tariff-7"), []byte("contract-42")}, Call: testCall(),
	}
	interim, stop := rec, rec
	interim.Kind, interim.At, interim.Duration = session.AcctInterim, at.Add(10*time.Minute), 10*time.Minute
	interim.Counters = session.Counters{UpPackets: 1, UpBytes: 100, DownPackets: 2, DownBytes: 3000}
	stop.Kind, stop.At, stop.Duration, stop.Cause = session.AcctStop, at.Add(20*time.Minute), 20*time.Minute, session.CauseLostCarrier
	stop.Counters = session.Counters{UpPackets: 10, UpBytes: 2<<32 + 17, DownPackets: 20, DownBytes: 5<<32 + 4_000_000_000}
	// One after the other, for their order in the file.
	for i, r := range []*session.AcctRecord{&rec, &interim, &stop} {
		c.Account(r)
		eventually(t, "record delivered", func() bool { return count(c, "radius_acct_delivered") == uint64(i+1) })
	}
	c.On("boot-1", at)
	eventually(t, "On delivered", func() bool { return count(c, "radius_acct_delivered") == 4 })
	c.Off("boot-2", at)
	if err := c.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	got := f.detail(t)
	if len(got) != 5 {
		t.Fatalf("%d records in the detail file, want 5", len(got))
	}
	common := map[string]string{
		"User-Name": `"alice"`, "Acct-Session-Id": `"5F3A0001"`, "NAS-Identifier": `"lns1"`, "NAS-IP-Address": "198.51.100.1",
		"NAS-Port-Type": "Virtual", "Service-Type": "Framed-User", "Framed-Protocol": "PPP", "Framed-IP-Address": "10.0.0.7",
		"Framed-Route": `"192.168.7.0/24 0.0.0.0 1"`, "Acct-Authentic": "RADIUS", "Class": "0x7461726966662d37 0x636f6e74726163742d3432",
		"Called-Station-Id": `"0800123"`, "Calling-Station-Id": `"5551234"`, "Connect-Info": `"100000000/20000000"`,
		"Tunnel-Type:0": "L2TP", "Tunnel-Medium-Type:0": "IPv4", "Tunnel-Client-Endpoint:0": `"203.0.113.9"`,
		"Tunnel-Server-Endpoint:0": `"198.51.100.1"`, "Acct-Tunnel-Connection": `"4711"`, "Tunnel-Assignment-Id:0": `"77"`,
		"Tunnel-Client-Auth-Id:0": `"lac.example.net"`, "Tunnel-Server-Auth-Id:0": `"lns1.example.net"`,
		"NAS-Port-Id": `"LNS rtr-0#lip-198.51.100.1#rip-203.0.113.9#ltid-4660#rtid-77#lsid-22136#rsid-88#4711"`,
	}
	for i, want := range []map[string]string{
		{"Acct-Status-Type": "Start", "Acct-Input-Octets": "", "Acct-Session-Time": "", "Acct-Terminate-Cause": ""},
		{"Acct-Status-Type": "Interim-Update", "Acct-Session-Time": "600", "Acct-Input-Octets": "100", "Acct-Output-Octets": "3000",
			"Acct-Input-Packets": "1", "Acct-Output-Packets": "2", "Acct-Input-Gigawords": "0", "Acct-Output-Gigawords": "0", "Acct-Terminate-Cause": ""},
		{"Acct-Status-Type": "Stop", "Acct-Session-Time": "1200", "Acct-Input-Octets": "17", "Acct-Input-Gigawords": "2",
			"Acct-Output-Octets": "4000000000", "Acct-Output-Gigawords": "5", "Acct-Input-Packets": "10", "Acct-Output-Packets": "20",
			"Acct-Terminate-Cause": "Lost-Carrier"},
	} {
		compare(t, got[i], common)
		compare(t, got[i], want)
		stamp := at.Add(time.Duration(i) * 10 * time.Minute).Local().Format("Jan _2 2006 15:04:05 MST")
		compare(t, got[i], map[string]string{"Event-Timestamp": `"` + stamp + `"`})
		// How long ago the event was, give or take the test's own time.
		if late, err := strconv.Atoi(got[i]["Acct-Delay-Time"]); err != nil || late < 3600-600*i || late > 3900-600*i {
			t.Errorf("record %d: Acct-Delay-Time %s", i, got[i]["Acct-Delay-Time"])
		}
	}
	compare(t, got[3], map[string]string{"Acct-Status-Type": "Accounting-On", "Acct-Session-Id": `"boot-1"`, "NAS-Identifier": `"lns1"`, "User-Name": ""})
	compare(t, got[4], map[string]string{"Acct-Status-Type": "Accounting-Off", "Acct-Session-Id": `"boot-2"`})
}

// compare checks the named attributes; an empty value wants the attribute absent.
func compare(t *testing.T, got, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s: %s is %s, want %s", got["Acct-Status-Type"], name, got[name], value)
		}
	}
}

// detail reads all records of the detail files. The values of an attribute that is
// there several times are joined by spaces.
func (f *freeradius) detail(t *testing.T) []map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(f.log, "radacct", "*", "detail-*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no detail file: %v", err)
	}
	var records []map[string]string
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(strings.TrimSpace(string(b)), "\n\n") {
			record := map[string]string{}
			for _, line := range strings.Split(block, "\n") {
				if name, value, ok := strings.Cut(strings.TrimSpace(line), " = "); ok {
					record[name] = strings.TrimSpace(record[name] + " " + value)
				}
			}
			records = append(records, record)
		}
	}
	return records
}
