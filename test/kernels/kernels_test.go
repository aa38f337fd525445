package kernels

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// acceptHint tells how to make a growth the new measure.
const acceptHint = "If this is meant, run make test-kernels ACCEPT=1 and commit test/kernels/" + recordFile + "."

// allSuites are the packages whose tests run in the machines.
var allSuites = map[string]string{
	"maps":      "./maps",
	"dataplane": "./control/dataplane",
	"inside":    "./test/kernels/inside",
}

// suites are those of them that SUITES names, or all.
var suites = wantedSuites(os.Getenv("SUITES"))

func wantedSuites(names string) map[string]string {
	list := maps.Clone(allSuites)
	maps.DeleteFunc(list, func(name, _ string) bool {
		return names != "" && !slices.Contains(strings.Split(names, ","), name)
	})
	return list
}

// TestKernels runs everything on every kernel, one machine at a time.
func TestKernels(t *testing.T) {
	if os.Getenv("LNSD_KERNELS") == "" {
		t.Skip("boots virtual machines, which takes minutes and Debian's mirror; run by make test-kernels")
	}
	if runtime.GOARCH != "amd64" {
		t.Skip("the kernels and the machines are for amd64")
	}
	build, err := filepath.Abs("../../build/kernels")
	if err != nil {
		t.Fatal(err)
	}
	files := programs(t, build)
	recorded, err := readRecord()
	if err != nil {
		t.Fatal(err)
	}
	accept := os.Getenv("ACCEPT") != ""
	var accel accelerator
	for _, k := range debianKernels {
		t.Run(k.series, func(t *testing.T) {
			m := prepare(t, k, filepath.Join(build, k.series), files)
			if accel == "" {
				var why error
				if accel, why = m.chooseAccelerator(t.Context()); why != nil {
					first, _, _ := strings.Cut(why.Error(), "\n")
					t.Logf("emulated, because KVM is no use: %s", first)
				}
			}
			m.accel = accel
			r := m.boot(t)
			t.Logf("kernel %s, run by %s", r.kernel, accel)
			var all []result
			for _, s := range r.suites {
				all = append(all, s.check(t)...)
			}
			checkCosts(t, recorded, k.series, cost{Kernel: r.kernel, Accelerator: string(accel)}, all, accept)
		})
	}
	if accept {
		if err := recorded.write(); err != nil {
			t.Error(err)
		}
	}
}

// programs builds what every machine gets, by path in its initramfs.
func programs(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files, err := tools(wantedTools)
	if err != nil {
		t.Fatal(err)
	}
	compile := func(at, folder string, verb ...string) {
		out := filepath.Join(dir, filepath.Base(at))
		args := slices.Concat(verb, []string{"-trimpath", "-ldflags=-s -w", "-o", out, folder})
		cmd := exec.Command("go", args...)
		cmd.Dir = "../.."
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if msg, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, msg)
		}
		files[at] = read(t, out)
	}
	compile("init", "./test/kernels/guest", "build")
	for name, folder := range suites {
		compile("tests/"+name+".test", folder, "test", "-c")
	}
	files["lnsd/kernel_bpfel.o"] = read(t, "../../maps/kernel_bpfel.o")
	// Where the tests of maps, which run in /tests, look for functions of operators.
	files["tests/testdata/hooks/hooks.o"] = read(t, "../../maps/testdata/hooks/hooks.o")
	files["packaging/examples/bpf-dns-count/dns_count.o"] = read(t, "../../packaging/examples/bpf-dns-count/dns_count.o")
	return files
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// prepare fetches a kernel and packs its initramfs.
func prepare(t *testing.T, k debianKernel, dir string, files map[string][]byte) machine {
	t.Helper()
	kernel, err := k.fetch(dir)
	if err != nil {
		t.Fatal(err)
	}
	list, err := modules(kernel.modules, wantedModules)
	if err != nil {
		t.Fatal(err)
	}
	all := maps.Clone(files)
	for i, m := range list {
		all[fmt.Sprintf("modules/%02d-%s.ko", i, m.name)] = m.elf
	}
	m := machine{kernel: kernel, initramfs: filepath.Join(dir, "initramfs"), dir: dir}
	if err := os.WriteFile(m.initramfs, initramfs(all), 0o644); err != nil {
		t.Fatal(err)
	}
	return m
}

// boot runs the machine's tests and keeps what they print.
func (m machine) boot(t *testing.T) report {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runTime)
	defer cancel()
	out, err := m.run(ctx)
	for i := 1; i < boots && errors.Is(err, errNoGreeting); i++ {
		t.Logf("the machine hung while it booted; again\n%v", err)
		out, err = m.run(ctx)
	}
	log := filepath.Join(m.dir, "tests.log")
	if err := os.WriteFile(log, out, 0o644); err != nil {
		t.Error(err)
	}
	if err != nil {
		t.Fatalf("%v\nThe tests' output is in %s", err, log)
	}
	r, err := parse(out)
	if err != nil {
		t.Fatalf("%v\nThe tests' output is in %s; the kernel's console ended with:\n%s",
			err, log, tail(filepath.Join(m.dir, "console.log")))
	}
	if len(r.suites) != len(suites) {
		t.Errorf("%d of %d test binaries were run", len(r.suites), len(suites))
	}
	if r.complaint != "" {
		t.Errorf("the machine says: %s", r.complaint)
	}
	return r
}

// check makes the suite's tests tests of this process.
func (s suite) check(t *testing.T) (list []result) {
	t.Run(s.name, func(t *testing.T) {
		var err error
		if list, err = s.results(); err != nil {
			t.Fatal(err)
		}
		failed := s.status != "0"
		count := map[string]int{}
		for _, r := range list {
			count[r.action]++
			if r.action == "pass" {
				continue
			}
			t.Run(r.name, func(t *testing.T) {
				if r.action == "skip" {
					t.Skip(r.output)
				}
				t.Error(r.output)
			})
		}
		t.Logf("%d tests passed, %d failed, %d skipped", count["pass"], count["fail"], count["skip"])
		switch {
		case count["pass"] == 0:
			t.Errorf("nothing was tested:\n%s", s.output)
		case failed && count["fail"] == 0:
			t.Errorf("exit status %s after all tests passed:\n%s", s.status, s.output[max(0, len(s.output)-5000):])
		}
	})
	return list
}

// checkCosts compares what the verifier needed with the record, or records it.
func checkCosts(t *testing.T, r record, series string, where cost, list []result, accept bool) {
	t.Helper()
	found, err := costs(list)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("no program was loaded")
	}
	lines, accepted := compare(r[series], found)
	t.Log(strings.Join(lines, "\n"))
	if !accepted && !accept {
		t.Error(acceptHint)
	}
	if !accept {
		return
	}
	for program, c := range found {
		c.Kernel, c.Accelerator = where.Kernel, where.Accelerator
		found[program] = c
	}
	r[series] = found
}
