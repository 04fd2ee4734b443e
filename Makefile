# make demo           a simulated host on a simulated LAN, and the tour on it, step by step
# make test           everything: format, lints, documentation, licences, direction, all tests, and
#                     each fuzz target for a minute; leaves the tree as it found it
# make fuzz           the fuzz targets for longer: TARGET=image-layer SECONDS=3600, all unless named
# make conformance    writes the page docs/conformance.md from the last run of make test
# make bench          the figures, each as a ratio taken in one run
# make fmt            formats the sources
#
# Nothing here touches the machine's own network: hosts are namespaces.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.PHONY: demo test fuzz conformance bench fmt rust root

# End-to-end tests wait for the kernel more than they compute.
TEST_THREADS ?= 4
# How long each fuzz target runs in make test, and in make fuzz.
FUZZ_SECONDS ?= 60
SECONDS ?= 600
TARGET ?=
BUILT := $${CARGO_TARGET_DIR:-target}
RUN := $(BUILT)/test-run.txt

demo: rust root
	tools/install
	cargo build -p sealane
	tools/demo

# The workspace is built once, as a whole: `cargo run -p xtask` alone would resolve other features and
# build what it depends on a second time. The fuzz targets take what the tests leave of the processors
# (SCHED_IDLE, in a session of their own that weighs next to nothing, as the kernel shares processors out
# by session first): the tests wait for the kernel most of the time. Their dice begin with one seed, so that
# what a run finds another finds, too; make fuzz throws them anew.
test: rust root
	export RUSTDOCFLAGS="-D warnings"
	export CARGO_TERM_PROGRESS_WHEN=never
	times=
	step() {
	  local from=$$SECONDS name=$$1 code=0; shift
	  echo "+ $$*"
	  "$$@" || code=$$?
	  times+=$$(printf '%6d s  %s' $$((SECONDS - from)) "$$name")$$'\n'
	  return $$code
	}
	step install tools/install
	step images tools/image
	step format cargo fmt --all --check
	step clippy cargo clippy --workspace --all-targets -- -D warnings
	step documentation cargo doc --workspace --no-deps --document-private-items
	step build cargo build --workspace --all-targets
	step direction $(BUILT)/debug/xtask direction
	step licences $(BUILT)/debug/xtask licences
	step words $(BUILT)/debug/xtask words
	result=0
	setsid bash -c 'echo 19 >/proc/self/autogroup; exec chrt --idle 0 "$$@"' fuzz \
	  $(BUILT)/debug/sealane-fuzz run --seed 1 --seconds $(FUZZ_SECONDS) >$(BUILT)/fuzz.txt 2>&1 & fuzz=$$!
	trap 'kill $$fuzz 2>/dev/null || true' EXIT
	tests() {
	  cargo test --workspace --no-fail-fast -- --test-threads=$(TEST_THREADS) 2>&1 | tee $(RUN)
	}
	step tests tests || result=1
	# The summary of the tests is the last that is printed, unless a target failed.
	step fuzzing wait $$fuzz >/dev/null || { result=1; cat $(BUILT)/fuzz.txt; }
	trap - EXIT
	$(BUILT)/debug/xtask conformance $(RUN) >$(BUILT)/conformance.md || result=1
	printf '%s%6d s  in all\n' "$$times" $$SECONDS >$(BUILT)/test-times.txt
	exit $$result

fuzz: rust
	cargo run -p sealane-fuzz -- run --seconds $(SECONDS) $(TARGET)

conformance: rust
	cargo run -q -p xtask -- conformance $(RUN) >$(BUILT)/conformance.md
	cp $(BUILT)/conformance.md docs/conformance.md

bench: rust root
	tools/install
	tools/image
	cargo build --release -p sealane
	cargo run --release -p sealane-bench -- --write docs/performance.md

fmt: rust
	cargo fmt --all

rust:
	@tools/rust-version

root:
	@[ "$$(id -u)" = 0 ] || { echo "run as root: the simulated hosts are namespaces with links and mounts of their own" >&2; exit 1; }
