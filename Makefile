# The two commands that matter: `make run` (the product, on this machine) and `make test` (everything, on real servers).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
CARGO ?= cargo

.PHONY: help run test test-quick faults simulate lint fmt clippy deny docs chart deploy kubernetes fuzz bench clean

help: ## What can be asked of this Makefile
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## Build and start the demo: queue, worker, SQLite and a small shop's changes, all on this machine
	@tests/servers/servers.sh check rust
	$(CARGO) build --locked --release --package afterimage
	@exec $${CARGO_TARGET_DIR:-target}/release/afterimage demo $(ARGS)

test: ## Every test, on real servers (Cassandra, ElasticMQ, moto) and a MongoDB-wire one that are fetched, started and stopped here
	@tests/servers/servers.sh check rust servers
	$(CARGO) build --locked --workspace --all-targets
	tests/servers/servers.sh with -- bash -c '$(CARGO) test --locked --workspace --no-fail-fast && tests/tools/deploy live'
	fuzz/run $(FUZZ_SECONDS)

test-quick: ## The tests that need no server; says which it skips
	AFTERIMAGE_TEST_SKIP_SERVERS=1 $(CARGO) test --locked --workspace

# The server that stands in for MongoDB keeps everything in memory, ElasticMQ what was in all its queues.
faults: ## Real workers, killed, cut off and stalled; LONG=1: 10^5 events each, into docs/reliability.md; ONLY=name: one
	@tests/servers/servers.sh check rust servers
	$(CARGO) build --locked $(FAULTS) --all-targets
	@mkdir -p .servers && rm -f $(FAULTS_REPORT)
	$(if $(LONG),MONGODB_HEAP=4g ELASTICMQ_HEAP=3g) AFTERIMAGE_FAULTS=$(if $(LONG),long,short) AFTERIMAGE_FAULTS_REPORT=$(FAULTS_REPORT) \
	  tests/servers/servers.sh with -- \
	  $(CARGO) test --locked $(FAULTS) --test faults -- --nocapture $(if $(LONG),--test-threads=1) $(ONLY)
	$(if $(LONG)$(TABLE),$(CARGO) run --locked --package afterimage-tests --bin reliability-table \
	  $(FAULTS_REPORT) docs/reliability.jsonl docs/reliability.md)

# Together, so that the binary gets the fail points that the tests ask for.
FAULTS := --package afterimage --package afterimage-tests
FAULTS_REPORT := $(CURDIR)/.servers/faults.jsonl

simulate: ## Run SEEDS fleets of workers from seeds never tried before, or tell the STORY of one seed
	$(CARGO) run --locked --package afterimage-simulation -- $(if $(STORY),--story $(STORY),--seeds $(SEEDS)) $(ARGS)

SEEDS ?= 100000

lint: fmt clippy deny docs ## Format, clippy with warnings denied, cargo-deny, documentation

fmt:
	$(CARGO) fmt --all --check
	for folder in fuzz bench/baseline crates/simulation/planter; do $(CARGO) fmt --check --manifest-path $$folder/Cargo.toml; done

clippy:
	$(CARGO) clippy --locked --workspace --all-targets -- --deny warnings

deny:
	tests/tools/cargo-deny

docs:
	RUSTDOCFLAGS="--deny warnings" $(CARGO) doc --locked --workspace --all-features --no-deps --document-private-items

chart: ## Check the Helm chart, its alerts and dashboard with the real tools, which are built once (needs Go)
	tests/tools/chart

deploy: ## Check deploy/ and docker/ with the real tools; the live part runs with the tests
	tests/tools/deploy static

# Not a part of CI: building a control plane from source takes most of an hour on two cores, running it three minutes.
kubernetes: ## The chart on a real Kubernetes control plane: every shape installed, real workers rolled, scaled and drained
	$(CARGO) build --locked --package afterimage
	@tests/tools/kubernetes install
	tests/servers/servers.sh with -- tests/tools/kubernetes check

fuzz: ## Fuzz every parser and the differ for FUZZ_SECONDS each
	fuzz/run $(FUZZ_SECONDS)

FUZZ_SECONDS ?= 20

bench: ## Measure against rivals in one run; takes about half an hour
	bench/run.sh

clean: ## Remove what builds and test servers left
	$(CARGO) clean
	rm -rf .servers afterimage-demo
