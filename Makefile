# lnsd: an L2TP network server for Linux. `make` prints the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
GO ?= go
export GOFLAGS ?= -buildvcs=false
BUILD = $(GO) build -trimpath -ldflags '-X main.version=$(VERSION)'

# What needs root is run through sudo when make is not.
ifeq ($(shell id -u),0)
AS_ROOT :=
TEST_AS_ROOT :=
else
AS_ROOT := sudo -E env "PATH=$$PATH"
TEST_AS_ROOT := -exec 'sudo -E env PATH=$(PATH)'
endif

# The clang that made the committed BPF objects, that of Debian 12.
CLANG_MAJOR := 14
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.7.0
NFPM := github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.43.0
# A tag names a release; what lies between two sorts before the next.
PACKAGE_VERSION := $(shell git describe --tags --exact-match --match 'v*' 2>/dev/null | sed 's/^v//' | grep . || \
	echo "0.1.0~git$$(git rev-list --count HEAD 2>/dev/null || echo 0)")
GENERATE_PACKAGES := clang llvm libbpf-dev protobuf-compiler
RUN_PACKAGES := iproute2
TEST_PACKAGES := gcc libc6-dev git ethtool cpio $(GENERATE_PACKAGES) $(RUN_PACKAGES) bpftool iputils-ping iperf3 freeradius freeradius-utils nftables l2tpns xl2tpd wide-dhcpv6-client systemd rpm prometheus curl tshark
KERNEL_PACKAGES := qemu-system-x86 xz-utils $(RUN_PACKAGES) bpftool ethtool iputils-ping

FUZZTIME ?= 20s

.PHONY: help
help: ## print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | \
		awk -F'\t' '{ printf "  make %-14s %s\n", $$1, $$2 }'

.PHONY: build
build: ## build lnsd, lnsctl and lacsim into bin/
	$(BUILD) -o bin/ ./cmd/...

.PHONY: run
run: build ## a working LNS with 1,000 subscribers and traffic, in network namespaces (root)
	$(BUILD) -o bin/ ./test/demo
	@if [ "$$(id -u)" != 0 ]; then \
		echo "Loading XDP programs and making network namespaces need root, so sudo is used."; \
		command -v sudo >/dev/null || { echo "There is no sudo here: run 'make run' as root."; exit 1; }; fi
	@command -v ip >/dev/null || test/install-deps $(RUN_PACKAGES)
	$(AS_ROOT) bin/demo

.PHONY: test
test: deps lint check-generated test-race test-e2e ## install what is needed and pass every test (root)

.PHONY: deps
deps: ## install the Debian packages that the tests use
	test/install-deps $(TEST_PACKAGES)

.PHONY: test-unit
test-unit: ## tests that need no privilege
	$(GO) test -shuffle=on ./control/... ./maps/... ./cli/... ./cmd/... ./test/arch ./test/sim

# No more packages run at once than there are CPUs: real peers among them, l2tpns for one,
# have their own idea of how long an answer takes. The race detector would wait for a
# second at the end of each program; goroutines that still run then have been waited for.
.PHONY: test-race
test-race: export GORACE := atexit_sleep_ms=50
test-race: ## all but the end-to-end tests, under the race detector (root for the namespaces and BPF)
	test/go-test "$$($(GO) list ./... | grep -v -e /test/e2e -e /test/demo | tr '\n' ' ')" -race -shuffle=on -timeout 15m $(TEST_AS_ROOT)

.PHONY: test-bpf
test-bpf: ## the packet tables of the XDP program (root)
	$(GO) test $(TEST_AS_ROOT) ./maps/... ./control/dataplane/...

.PHONY: test-sim
test-sim: ## the simulation in virtual time; SEED=n replays one
	$(GO) test -count=1 -v ./test/sim

.PHONY: test-e2e
test-e2e: build ## end-to-end tests in network namespaces (root)
	test/go-test ./test/e2e/... -count=1 -parallel 6 -timeout 30m $(TEST_AS_ROOT)

.PHONY: test-kernels
test-kernels: ## the XDP program on Debian's kernels, in virtual machines; ACCEPT=1 records its costs, SUITES=inside omits the tables
	test/install-deps $(KERNEL_PACKAGES)
	LNSD_KERNELS=1 ACCEPT=$(ACCEPT) SUITES=$(SUITES) $(GO) test -count=1 -v -timeout 120m ./test/kernels

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (20s)
	@set -e; for file in $$(grep -rl --include='*_test.go' '^func Fuzz' .); do \
		for target in $$(sed -nE 's/^func (Fuzz[A-Za-z0-9_]+)\(.*/\1/p' $$file); do \
			echo "$$(dirname $$file) $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$(dirname $$file); \
		done; done

.PHONY: bench
bench: build ## the benchmarks behind docs/performance.md (root)
	$(GO) test -run '^$$' -bench . -benchmem $(TEST_AS_ROOT) ./control/... ./maps/...
	@$(MAKE) --no-print-directory bench-compare

.PHONY: bench-compare
bench-compare: build ## lnsd beside a plain redirect, a reference, Linux and l2tpns; BENCHFLAGS=-short for a glance (root)
	$(BUILD) -o bin/ ./test/perf/lnsbench
	mkdir -p build
	$(AS_ROOT) bin/lnsbench -json build/bench.jsonl $(BENCHFLAGS)

.PHONY: bench-docs
bench-docs: ## put the figures of the last bench-compare into docs/performance.md
	$(GO) run ./test/perf/lnsbench -from build/bench.jsonl -docs docs >/dev/null

RATES := 1000,10000,100000,1000000
CONGESTION := cubic
.PHONY: bench-throttle
bench-throttle: build ## TCP at each rate: the rows of docs/operations/throttle.md (root, minutes)
	LNSD_BENCH_THROTTLE=$(RATES) LNSD_BENCH_CONGESTION=$(CONGESTION) $(GO) test -count=1 -timeout 20m -run TestThrottleMatrix $(TEST_AS_ROOT) ./test/e2e

.PHONY: bench-intercept
bench-intercept: build ## a subscriber's delay beside one that is intercepted: the rows of docs/operations/intercept.md (root)
	LNSD_BENCH_INTERCEPT=1 $(GO) test -count=1 -timeout 20m -run TestInterceptionDelay $(TEST_AS_ROOT) ./test/e2e

.PHONY: lint
lint: ## gofmt, vet and staticcheck
	@bad=$$(gofmt -l cli cmd control maps packaging test); if [ -n "$$bad" ]; then echo "Not gofmt-ed:"; echo "$$bad"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

.PHONY: generate
generate: ## rebuild the BPF object and the API code from their sources
	test/install-deps $(GENERATE_PACKAGES)
	$(GO) generate ./maps/... ./control/api/... ./test/perf/...
	$(GO) generate ./control/hooks/...
	$(MAKE) -s -B -C packaging/examples/bpf-dns-count && $(MAKE) -s -B -C maps/testdata/hooks

# Another compiler makes another object of the same sources, so only the one that made
# the committed object can tell whether it is stale. A checkout that is not git's has
# nothing to compare with.
.PHONY: check-generated
check-generated: ## fail when a committed generated file differs from its source
	@if ! clang --version 2>/dev/null | grep -q 'version $(CLANG_MAJOR)\.'; then \
		echo "Generated files are not checked: they were made by clang $(CLANG_MAJOR)."; \
	elif ! git rev-parse --git-dir >/dev/null 2>&1; then \
		echo "Generated files are not checked: this is not a git checkout."; \
	else \
		$(MAKE) --no-print-directory generate && \
		git diff --exit-code --stat -- maps/ control/api/ control/hooks/ test/perf/ packaging/examples/ || \
		{ echo "Generated files are stale: commit what 'make generate' wrote."; exit 1; }; \
	fi

.PHONY: dist
dist: ## build the programs, manual pages and completions for a package into build/
	rm -rf build/bin build/man build/completions
	mkdir -p build/bin build/completions
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w -X main.version=$(PACKAGE_VERSION)' -o build/bin/ ./cmd/...
	$(GO) run ./packaging/pages -bin build/bin -out build/man -version $(PACKAGE_VERSION)
	@for shell in bash zsh fish; do build/bin/lnsctl completion $$shell >build/completions/lnsctl.$$shell; done

.PHONY: deb rpm
deb rpm: dist ## build a Debian package, or one for rpm, in build/
	@export VERSION=$(PACKAGE_VERSION) ARCH=$$($(GO) env GOARCH) SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct 2>/dev/null || echo 0); \
		$(GO) run $(NFPM) package --config packaging/nfpm.yaml --packager $@ --target build/

.PHONY: clean
clean: ## remove what make built
	rm -rf bin build
