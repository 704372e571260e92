# `make demo` and `make test` are the two to know; `make help` lists the others.
# Needed: Rust (https://rustup.rs; rust-toolchain.toml picks the version) and a C compiler; for the
# cluster tests also Go (https://go.dev/doc/install), which builds their real parts, once.

.DEFAULT_GOAL := help
.PHONY: help demo test check bench lint fmt clippy doc unit e2e e2e-tools deny crds monitoring image need need-go

MAKEFLAGS += --no-print-directory
CARGO ?= cargo
TOOLS_LOG := target/e2e-tools.log
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(notdir $(basename $(wildcard fuzz/fuzz_targets/*.rs)))

help: ## this list
	@grep -E '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/  \1\t\2/' | expand -t 14

demo: need ## the real webhook on loopback, with signed and unsigned images
	$(CARGO) build -p assay
	@$(CARGO) run --quiet -p assay -- demo

# Go builds the parts of the cluster tests behind, while Rust checks and tests the rest.
test: need need-go ## everything, cluster tests included
	@mkdir -p target; \
	$(MAKE) e2e-tools >$(TOOLS_LOG) 2>&1 </dev/null & tools=$$!; \
	trap 'kill $$tools 2>/dev/null' EXIT INT TERM; \
	for part in fmt clippy doc unit; do $(call timed,$$part,$(MAKE) $$part); done; \
	$(call timed,e2e-tools (what is left),{ wait $$tools || { cat $(TOOLS_LOG); false; }; }); \
	trap - EXIT; \
	$(call timed,e2e,$(MAKE) e2e)

# timed NAME,COMMAND: runs COMMAND and says how long it took; a failure ends the recipe.
timed = start=$$(date +%s); $(2) || { echo "== $(1): FAILED"; exit 1; }; echo "== $(1): $$(($$(date +%s) - start)) s"

check: lint unit ## what to run before a commit

lint: fmt clippy doc ## formatting, clippy, documentation

fmt:
	$(CARGO) fmt --all --check

clippy:
	$(CARGO) clippy --workspace --all-targets -- -D warnings

# --examples, of which there are none, makes Cargo choose the features that clippy has compiled.
doc:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --lib --bins --examples

unit: need ## all tests but those in a cluster
	$(CARGO) test --workspace --exclude assay-e2e

# Seeds, finds and builds are below target/fuzz; an input that breaks a target is in its artifacts.
fuzz: need ## each fuzz target for FUZZ_SECONDS (needs cargo-fuzz and a nightly toolchain)
	@command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz is missing: cargo install --locked cargo-fuzz" >&2; exit 1; }
	@RUSTUP_AUTO_INSTALL=0 $(CARGO) +nightly --version >/dev/null 2>&1 || { \
		echo "a nightly toolchain is missing: rustup toolchain install nightly --profile minimal" >&2; exit 1; }
	@command -v c++ >/dev/null || { echo "a C++ compiler is missing (c++), for libFuzzer" >&2; exit 1; }
	$(CARGO) run --quiet -p assay-fuzzing -- target/fuzz/seeds
	cp Cargo.lock fuzz/Cargo.lock
	@for target in $(FUZZ_TARGETS); do \
		echo "== $$target"; mkdir -p target/fuzz/found/$$target target/fuzz/artifacts; \
		$(CARGO) +nightly fuzz run --target-dir target/fuzz/build $$target \
			target/fuzz/found/$$target target/fuzz/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -max_len=8192 -timeout=10 -print_final_stats=1 \
			-dict=target/fuzz/seeds/dictionary -artifact_prefix=target/fuzz/artifacts/$$target- \
			|| exit 1; \
	done

# --workspace here too: for a single package Cargo would choose other features, and compile twice.
e2e: need e2e-tools ## the built binary in a cluster of real parts
	$(CARGO) build --workspace --bin assay --test cluster
	$(CARGO) build -p notation-rs --features signer --examples
	$(CARGO) test --workspace --test cluster -- --nocapture

e2e-tools: ## etcd, kube-apiserver, kubectl, cosign, notation-go, … into target/e2e-bin
	e2e/tools/build.sh

# With names, those alone; "cluster" is the name of those that need a cluster, "notation" of those of
# notation-rs.
bench: need e2e-tools ## the figures of docs/benchmarks.md; NAMES="parse warm cluster …" for some of them
	@names='$(filter-out cluster notation,$(NAMES))'; \
	test -z "$$names" -a -n '$(NAMES)' || $(CARGO) bench -p assay --bench figures -- $$names
	@test -n '$(NAMES)' -a -z '$(filter notation,$(NAMES))' || $(CARGO) bench -p notation-rs --bench verify
	@test -n '$(NAMES)' -a -z '$(filter cluster,$(NAMES))' || { \
		$(CARGO) bench -p assay --bench figures --no-run && \
		ASSAY_BIN=$(CURDIR)/target/release/assay $(CARGO) bench -p assay-e2e --bench cluster; }

deny: ## bans, licences and sources of dependencies (needs cargo-deny)
	@command -v cargo-deny >/dev/null || { echo "cargo-deny is missing: cargo install --locked cargo-deny" >&2; exit 1; }
	$(CARGO) deny check bans licenses sources

crds: need ## writes manifests/crds.yaml anew
	@mkdir -p target
	$(CARGO) run --quiet -p assay -- crds >target/crds.yaml
	mv target/crds.yaml manifests/crds.yaml

# One source each, in manifests/monitoring/plain, and what kubectl takes, made of it.
MONITORING := manifests/monitoring
monitoring: ## writes the rules and the dashboard of manifests/monitoring anew, from those in plain/
	@mkdir -p target
	sed -n '1,/^spec:/p' $(MONITORING)/prometheus-rule.yaml >target/head.yaml
	sed 's/^./  &/' $(MONITORING)/plain/rules.yaml | cat target/head.yaml - >target/rule.yaml
	sed -n '1,/^  dashboard.json:/p' $(MONITORING)/dashboard.yaml >target/head.yaml
	sed 's/^./    &/' $(MONITORING)/plain/dashboard.json | cat target/head.yaml - >target/dashboard.yaml
	mv target/rule.yaml $(MONITORING)/prometheus-rule.yaml
	mv target/dashboard.yaml $(MONITORING)/dashboard.yaml

image: need ## the image as an OCI layout in target/image, without Docker (docs/installation.md)
	tools/image.sh

need:
	@command -v $(CARGO) >/dev/null || { echo "Rust is missing: https://rustup.rs" >&2; exit 1; }
	@command -v cc >/dev/null || { echo "a C compiler is missing (cc)" >&2; exit 1; }

need-go:
	@command -v go >/dev/null || test -x target/e2e-bin/kube-apiserver || { \
		echo "Go is missing, which builds the parts of the cluster tests: https://go.dev/doc/install" >&2; \
		echo "(make check runs everything else)" >&2; exit 1; }
