# `make` alone lists what there is.
.DEFAULT_GOAL := help
.PHONY: help run demo test check bench disk dist chaos chaos-short bench-sdk sdk-mutants sdk-install sdk-test sdk-check sdk-browser-test example console console-check console-test console-browser-test console-bench console-pictures packages-test

help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# Builds target/debug/dao-api. `cargo test` has built it too, with other features of its dependencies: whoever runs after
# that says DAO_BUILD=true, and nothing is compiled again.
DAO_BUILD ?= cargo build --locked

run: ## Serve on http://127.0.0.1:3000, data in ./data; nothing else is needed
	cargo run --profile quick --locked

demo: ## Two people edit one graph on one page; nothing of it is kept
	cargo run --profile quick --locked -- demo

test: ## Install what the tests start (redis-server, sqlite3, Node, Chromium) where it is missing; run all tests
	./scripts/install-test-tools.sh
	./scripts/install-schemathesis.sh
	cargo test --workspace --locked
	$(MAKE) --no-print-directory chaos-short
	$(MAKE) --no-print-directory sdk-test console-test sdk-browser-test packages-test DAO_BUILD=true
	$(MAKE) --no-print-directory console-browser-test DAO_CONSOLE_SHORT=1 DAO_BUILD=true

check: ## Format, lints, documentation: what the gate checks beside the tests
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --features dao-api/otel --locked -- -D warnings
	./scripts/cargo-deny.sh
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --features dao-api/otel --locked
	$(MAKE) --no-print-directory sdk-check console-check

# Node of the system, or the one that sdk-install put into target/node.
NODE = PATH="$$($(CURDIR)/scripts/install-node.sh --path):$$PATH"

sdk-install: ## Install Node (where it is missing) and the packages of the SDK, the example and the console
	./scripts/install-node.sh

sdk-test: sdk-install ## Run the tests of the SDK
	$(DAO_BUILD)
	cd sdk && $(NODE) npm test --silent && $(NODE) npm run --silent fuzz && $(NODE) npm run --silent test:server

sdk-check: sdk-install ## Format, lints and types of the SDK and the example; public interface, sizes, packages and wire types
	$(DAO_BUILD)
	cd sdk && $(NODE) npm run --silent check && $(NODE) npm run --silent build && $(NODE) npm run --silent sizes \
		&& $(NODE) npm run --silent api -- --check \
		&& $(NODE) npm run --silent packages && $(NODE) node scripts/wire.mjs --check

bench-sdk: sdk-install ## Measure the core of the SDK beside Yjs
	cd sdk && $(NODE) npm run --silent bench

sdk-mutants: sdk-install ## Plant mistakes in the core of the SDK: the fuzz has to find each
	cd sdk && $(NODE) npm run --silent mutants

sdk-browser-test: sdk-install ## Run the example editor in Chromium: two people, offline, killed tabs, 1,000 nodes
	./scripts/install-chromium.sh
	$(DAO_BUILD)
	cd sdk && $(NODE) npm run --silent --workspace @dao-api/react-flow test:browser

example: sdk-install ## Start a server and a workflow editor for several people; open the address in two windows
	$(NODE) ./scripts/example.sh

console: sdk-install ## Build the web console into console/dist, which is committed and in the program
	cd console && $(NODE) npm run --silent build && $(NODE) npm run --silent sizes

console-check: sdk-install ## Format, lints, types and sizes of the console; whether console/dist is what its source builds
	cd console && $(NODE) npm run --silent check && $(NODE) npm run --silent build -- --check && $(NODE) npm run --silent sizes

console-test: sdk-install ## Run the tests of the console that need no browser
	cd console && $(NODE) npm test --silent

console-browser-test: sdk-install ## Run the console in Chromium over real servers (DAO_CONSOLE_SHORT=1: each screen in one theme)
	./scripts/install-chromium.sh
	$(DAO_BUILD)
	cd console && DAO_CONSOLE_SHORT="$(DAO_CONSOLE_SHORT)" DAO_API_BIN="$(CURDIR)/target/debug/dao-api" \
		$(NODE) npm run --silent test:browser

console-bench: sdk-install ## Measure the console with 10,000 nodes, and judge it by its bounds
	./scripts/install-chromium.sh
	cargo build --release --locked
	cd console && DAO_CONSOLE_BENCH=1 DAO_API_BIN="$(CURDIR)/target/release/dao-api" \
		$(NODE) npm run --silent test:browser -- tests/graph_browser/graph_large.test.ts

console-pictures: console-browser-test ## Take the pictures of docs/ from the tests of the console
	cp console/tests/shots/graphs-light.png docs/images/console-graphs.png
	cp console/tests/shots/graph_node_light.png docs/images/console-graph.png
	cp console/tests/shots/graph_compare_light.png docs/images/console-compare.png
	cp console/tests/shots/demo_conflict.png docs/images/demo.png

dist: sdk-install ## Build target/dist/dao-api, and in target/dist/packages what is given to people
	$(NODE) ./scripts/dist.sh --packages
	$(NODE) ./scripts/package/try.sh target/dist/packages

# The packages of the program that the tests have built: each is installed into an empty folder and run.
packages-test: sdk-install
	$(DAO_BUILD)
	mkdir -p target/packages-test && objcopy --strip-all target/debug/dao-api target/packages-test/dao-api
	$(NODE) ./scripts/package/python.sh scripts/package/make.py target/packages-test/dao-api target/packages-test/out
	$(NODE) ./scripts/package/try.sh target/packages-test/out

disk: ## Cut the power of the embedded store on a simulated disk, for minutes (DISK_RUNS, DISK_CUTS, DISK_SEED)
	DISK_RUNS=$${DISK_RUNS:-20} DISK_CUTS=$${DISK_CUTS:-150} cargo test --release --locked --test disk -- --nocapture --test-threads=2

bench: ## Run the benchmarks
	cargo bench --locked --bench targets

# What the tests install beside the system's Python has the library for WebSockets.
PYTHON = $(if $(wildcard target/test-tools/bin/python),target/test-tools/bin/python,python3)
CHAOS_SECONDS ?= 300

chaos: ## Five minutes of faults on real processes in each form, checked from outside (CHAOS_SECONDS, CHAOS_SEED)
	./scripts/install-test-tools.sh
	cargo build --release --locked
	for profile in replicas cluster redis embedded; do \
		$(PYTHON) chaos/run.py --profile $$profile --seconds $(CHAOS_SECONDS) || exit 1; \
	done

# A minute, with each kind of fault once, of what the tests have built.
chaos-short:
	$(PYTHON) chaos/run.py --profile replicas --seconds 60 --binary target/debug/dao-api
