// Package arch holds the rules of the house: who may import whom.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/lnsd/lnsd/"

type goPackage struct {
	ImportPath string
	Doc        string
	Imports    []string
	GoFiles    []string
}

// rule says what the packages below a folder may import besides themselves.
type rule struct {
	// local lists folders of this module, outside those of other modules; an
	// entry covers everything below it.
	local, outside []string
	// forbidStd lists packages of the standard library that are not allowed.
	forbidStd []string
}

// impure is what a package without input and output has no use for.
var impure = []string{"net", "os", "io/fs", "log", "log/slog", "sync", "syscall", "net/http", "os/exec"}

// rules is the import policy, folder by folder. Every package of the module must
// be covered by one.
var rules = map[string]rule{
	"control/l2tp":    {forbidStd: impure},
	"control/ppp":     {outside: []string{"golang.org/x/crypto/md4"}, forbidStd: impure},
	"control/pool":    {forbidStd: impure},
	"control/ip6":     {forbidStd: impure},
	"control/nd":      {local: []string{"control/ip6"}, forbidStd: impure},
	"control/dhcp6":   {forbidStd: impure},
	"control/session": {local: []string{"control/l2tp", "control/ppp", "control/pool", "control/ip6", "control/nd", "control/dhcp6"}, forbidStd: impure},
	"control/acl":     {forbidStd: impure},
	"control/shape":   {local: []string{"control/session"}, forbidStd: []string{"net", "os", "log", "syscall", "net/http", "os/exec"}},
	"control/engine": {
		local:     []string{"control/session", "control/l2tp", "control/ppp", "control/pool", "control/ip6"},
		outside:   []string{"go.uber.org/zap", "golang.org/x/time/rate"},
		forbidStd: []string{"net", "net/http", "os/exec", "syscall"},
	},
	"control/udp":        adapter(nil, "golang.org/x/sys/unix"),
	"control/tun":        adapter([]string{"control/l2tp", "control/acl", "control/shape"}, "golang.org/x/sys/unix", "github.com/cilium/ebpf", "github.com/vishvananda/netlink", "golang.org/x/time/rate"),
	"control/dataplane":  adapter([]string{"maps", "control/acl"}, "github.com/vishvananda/netlink", "golang.org/x/sys/unix", "github.com/cilium/ebpf"),
	"control/radius":     adapter([]string{"control/ppp"}, "layeh.com/radius", "golang.org/x/sys/unix"),
	"control/secrets":    adapter([]string{"control/ppp"}),
	"control/garden":     adapter(nil, "github.com/google/nftables", "github.com/mdlayher/netlink"),
	"control/intercept":  adapter(nil, "golang.org/x/net", "golang.org/x/sys/unix"),
	"control/capture":    adapter([]string{"control/l2tp"}, "github.com/gopacket/gopacket"),
	"control/hooks":      adapter(nil, "github.com/hashicorp/go-plugin", "github.com/hashicorp/go-hclog", "google.golang.org/grpc", "google.golang.org/protobuf", "golang.org/x/sys/unix"),
	"control/wire":       {forbidStd: impure},
	"control/recordlog":  {},
	"control/spool":      adapter([]string{"control/wire", "control/recordlog"}),
	"control/journal":    adapter([]string{"control/recordlog"}, "github.com/fxamacker/cbor/v2"),
	"control/usage":      adapter(nil),
	"control/config":     adapter([]string{"control/acl"}),
	"control/api":        adapter(nil, "google.golang.org/grpc", "google.golang.org/protobuf", "golang.org/x/sys/unix"),
	"control/events":     {local: []string{"control/session"}},
	"control/history":    {local: []string{"control/session"}},
	"control/trace":      adapter(nil, "golang.org/x/time/rate"),
	"control/status":     adapter(nil),
	"control/login":      {outside: []string{"github.com/sergeymakinen/go-crypt", "github.com/go-crypt/x", "github.com/GehirnInc/crypt", "golang.org/x/crypto/bcrypt"}},
	"control/sshd":       adapter([]string{"control/login"}, "github.com/gliderlabs/ssh", "golang.org/x/crypto/ssh"),
	"control/telnet":     adapter([]string{"control/login"}),
	"control/metrics":    adapter(nil, "github.com/prometheus/client_golang"),
	"maps":               {outside: []string{"github.com/cilium/ebpf", "golang.org/x/sys/unix"}},
	"cli":                {local: []string{"control/api"}, outside: []string{"charm.land/bubbletea/v2", "github.com/spf13/cobra", "github.com/spf13/pflag", "google.golang.org/grpc", "google.golang.org/protobuf", "golang.org/x/term", "golang.org/x/crypto/bcrypt"}},
	"cmd":                {local: []string{""}, outside: []string{""}},
	"packaging/examples": {local: []string{"control/hooks/hookv1"}},
	"packaging/pages":    {local: []string{"cli", "control/config"}, outside: []string{"github.com/cpuguy83/go-md2man/v2", "github.com/spf13/cobra", "github.com/spf13/pflag"}},
	"test":               {local: []string{""}, outside: []string{""}},
}

// adapter may import the session's values, the logger, and what it is named for.
func adapter(local []string, outside ...string) rule {
	return rule{
		local:   append([]string{"control/session"}, local...),
		outside: append([]string{"go.uber.org/zap"}, outside...),
	}
}

func TestImportsRunOneWay(t *testing.T) {
	packages := list(t)
	if len(packages) < 15 {
		t.Fatalf("only %d packages found: the listing is broken", len(packages))
	}
	for _, p := range packages {
		dir := strings.TrimPrefix(p.ImportPath, module)
		r, ok := ruleFor(dir)
		if !ok {
			t.Errorf("%s: no import rule covers this folder; add one", dir)
			continue
		}
		for _, imp := range p.Imports {
			if problem := check(r, dir, imp); problem != "" {
				t.Errorf("%s imports %s: %s", dir, imp, problem)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range list(t) {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}

func check(r rule, dir, imp string) string {
	if local, ok := strings.CutPrefix(imp, module); ok {
		root, _ := rootOf(dir)
		if under(local, root) || covers(r.local, local) {
			return ""
		}
		return "imports run one way; this one runs against it"
	}
	if first, _, _ := strings.Cut(imp, "/"); strings.Contains(first, ".") {
		if covers(r.outside, imp) {
			return ""
		}
		return "this module is not for this folder"
	}
	if slices.Contains(r.forbidStd, imp) {
		return "this package does no input or output"
	}
	return ""
}

func covers(folders []string, path string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return f == "" || under(path, f) })
}

func under(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// rootOf is the longest folder with a rule above dir.
func rootOf(dir string) (string, bool) {
	for d := dir; d != ""; {
		if _, ok := rules[d]; ok {
			return d, true
		}
		i := strings.LastIndexByte(d, '/')
		if i < 0 {
			break
		}
		d = d[:i]
	}
	return "", false
}

func ruleFor(dir string) (rule, bool) {
	root, ok := rootOf(dir)
	return rules[root], ok
}

func list(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Doc,Imports,GoFiles", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
