# `make` alone lists what there is to make.

CARGO ?= cargo
PREFIX ?= $(HOME)/.local
BINARY ?= target/release/mcpmux
SOAK ?= 20m
FUZZ ?= 60
VM ?=

# The release, arranged for what calls do.
release = RUSTFLAGS="$$RUSTFLAGS $$(profile/flags)" $(CARGO)

# Below the home directory everything goes where a user's own files go, and the
# units keep their %h; elsewhere where a machine's go.
CONFIG_HOME := $(or $(XDG_CONFIG_HOME),$(HOME)/.config)
ifneq ($(filter $(HOME)/%,$(PREFIX)),)
UNITDIR ?= $(CONFIG_HOME)/systemd/user
CONFIG ?= $(CONFIG_HOME)/mcpmux/config.yaml
UNIT_PREFIX := $(subst $(HOME)/,%h/,$(PREFIX))
else
UNITDIR ?= $(PREFIX)/lib/systemd/user
UNIT_PREFIX := $(PREFIX)
endif

bin = $(DESTDIR)$(PREFIX)/bin
doc = $(DESTDIR)$(PREFIX)/share/doc/mcpmux
units = $(DESTDIR)$(UNITDIR)
bash = $(DESTDIR)$(PREFIX)/share/bash-completion/completions/mcpmux
zsh = $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_mcpmux
fish = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/mcpmux.fish
man = $(DESTDIR)$(PREFIX)/share/man/man1

SCRIPTS := .ci/run layout/record profile/record profile/flags systemd/verify tests/prepare tests/conformance/install tests/oauth/install tests/systemd/machine \
	tests/systemd/vm/run tests/systemd/vm/image tests/systemd/vm/inside tests/real/install

.PHONY: help run build test vm lint audit bench profile layout soak fuzz install uninstall

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 18
	@echo
	@echo "install and uninstall honour DESTDIR and PREFIX ($(PREFIX)), and"
	@echo "UNITDIR ($(UNITDIR))."

run: ## build mcpmux and serve mcpmux.example.yaml
	$(CARGO) run -- serve --config mcpmux.example.yaml

build: ## build the release binary
	$(release) build --release --locked

test: ## run all tests (what they need is installed, or named)
	tests/prepare
	$(CARGO) build --workspace --locked
	$(CARGO) test --workspace --locked --no-fail-fast

vm: ## tests of systemd in a virtual machine with a newer one (VM=some of them)
	CARGO="$(CARGO)" tests/systemd/vm/run $(VM)

lint: ## formatting, clippy, licences, scripts, units
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	@$(call if_there,cargo-deny,$(CARGO) deny check bans licenses sources)
	@$(call if_there,shellcheck,shellcheck $(SCRIPTS))
	@$(call if_there,systemd-analyze,systemd/verify)

audit: ## known vulnerabilities of the crates below mcpmux
	$(CARGO) deny check advisories

bench: ## measure mcpmux under load, beside nginx where it is installed
	$(release) build --release --locked --workspace
	$(release) run --release --locked -p mcpmux-load

profile: ## record what calls do, for the compiler (llvm-profdata)
	profile/record

layout: ## record which functions run, for the linker (valgrind)
	layout/record

soak: ## use mcpmux for SOAK=20m, and see whether what it holds grows
	$(release) build --release --locked --workspace
	$(release) run --release --locked -p mcpmux-load --bin mcpmux-soak -- --duration $(SOAK)

fuzz: ## look for inputs that break what must hold, FUZZ=60 seconds each
	@if command -v cargo-fuzz >/dev/null && rustup run nightly rustc --version; then \
	    home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && cd fuzz && \
	    export XDG_CONFIG_HOME="$$home" XDG_STATE_HOME="$$home" XDG_RUNTIME_DIR="$$home" && \
	    for target in envelope config http token; do \
	        mkdir -p corpus/$$target && \
	        cargo +nightly fuzz run $$target corpus/$$target seeds/$$target -- \
	            -max_total_time=$(FUZZ) -max_len=4096 || exit; \
	    done; \
	else \
	    echo "no cargo-fuzz or no nightly compiler: the seeds are changed by tests/fuzz.rs"; \
	    MCPMUX_FUZZ=$(FUZZ) $(CARGO) test --locked --test fuzz -- --test-threads 1; \
	fi

install: $(BINARY) ## install the binary, units, manual, completions and an example
	install -D -m 755 $(BINARY) $(bin)/mcpmux
	install -d $(units)
	for unit in mcpmux.socket mcpmux.service mcpmux.slice; do \
	    sed 's|%h/\.local|$(UNIT_PREFIX)|' systemd/$$unit > $(units)/$$unit && \
	    chmod 644 $(units)/$$unit || exit; \
	done
	install -d $(dir $(bash)) $(dir $(zsh)) $(dir $(fish))
	$(BINARY) completions bash > $(bash)
	$(BINARY) completions zsh > $(zsh)
	$(BINARY) completions fish > $(fish)
	$(BINARY) man $(man)
	install -D -m 644 -t $(doc) README.md SECURITY.md CHANGELOG.md mcpmux.example.yaml
	install -D -m 644 -t $(doc)/docs docs/*.md
	install -D -m 644 -t $(doc)/drop-ins systemd/drop-ins/*.conf
ifdef CONFIG
	test -e $(DESTDIR)$(CONFIG) || install -D -m 600 mcpmux.example.yaml $(DESTDIR)$(CONFIG)
endif
	@echo
	@echo "Next: systemctl --user daemon-reload"
	@echo "      systemctl --user enable --now mcpmux.socket"

uninstall: ## remove what install installed, but for the configuration
	@test -n "$(DESTDIR)" || systemctl --user disable --now mcpmux.socket mcpmux.service 2>/dev/null || true
	rm -f $(bin)/mcpmux $(units)/mcpmux.socket $(units)/mcpmux.service $(units)/mcpmux.slice $(bash) $(zsh) $(fish)
	rm -f $(man)/mcpmux.1 $(man)/mcpmux-*.1
	rm -rf $(doc)
	@test -n "$(DESTDIR)" || systemctl --user daemon-reload 2>/dev/null || true

target/release/mcpmux: build

# if_there PROGRAM,COMMAND: runs the command, or says that it was not run.
if_there = if command -v $1 >/dev/null; then echo "$2"; $2; \
	else echo "NOT RUN, no $1 on this machine: $2"; fi
