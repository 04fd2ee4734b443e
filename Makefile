# make demo    a simulated host on a simulated LAN, and the tour on it, step by step
# make test    everything: format, lints, documentation, licences, direction, all tests
# make fuzz    the fuzz targets: TARGET=image-layer SECONDS=3600, all of them for ten minutes unless said
# make bench   the figures, each as a ratio taken in one run
# make fmt     formats the sources
#
# Nothing here touches the machine's own network: hosts are namespaces.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.PHONY: demo test fuzz bench fmt rust root

# End-to-end tests wait for the kernel more than they compute.
TEST_THREADS ?= 4
# How long each fuzz target runs in make fuzz.
SECONDS ?= 600
TARGET ?=
RUN := target/test-run.txt

demo: rust root
	tools/install
	cargo build -p sealane
	tools/demo

test: rust root
	export RUSTDOCFLAGS="-D warnings"
	set -x
	tools/install
	tools/image
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo doc --workspace --no-deps --document-private-items
	cargo build --workspace --all-targets
	cargo run -q -p xtask -- direction
	cargo run -q -p xtask -- licences
	cargo test --workspace --doc
	{ set +x; } 2>/dev/null
	result=0
	cargo test --workspace --lib --bins --tests --no-fail-fast -- --test-threads=$(TEST_THREADS) 2>&1 \
	  | tee $(RUN) || result=1
	cargo run -q -p xtask -- conformance $(RUN) >target/conformance.md || result=1
	cp target/conformance.md docs/conformance.md
	exit $$result

fuzz: rust
	cargo run -p sealane-fuzz -- run --seconds $(SECONDS) $(TARGET)

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
