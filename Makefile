# The commands people type. Each is a line of `stack`, the program in infra/local.

# Folder and ports of the local stack. A CLICKHOUSE_URL of your own is used instead of starting one.
STACK ?= .local
PORT ?= 4566
CLICKHOUSE_PORT ?= 8123
# The same for the stack that tests run against.
TEST_STACK ?= .local/test
TEST_PORT ?= 14566
TEST_CLICKHOUSE_PORT ?= 18123
export STACK PORT CLICKHOUSE_PORT TEST_STACK TEST_PORT TEST_CLICKHOUSE_PORT SLOW

ACCOUNT ?= demo
ROLE ?= admin
NAME ?= track-event
ARCH ?= arm64
TTL ?= 30d

# Not `cargo run`: what that adds to the environment makes builds started from within compile crates again.
# Of the workspace, so that what is compiled for it is compiled for the functions too. Quiet, but for the first time, which takes
# minutes.
program := $(or $(CARGO_TARGET_DIR),target)/debug/stack
stack := cargo build --workspace $(if $(wildcard $(program)),--quiet) --bin stack && $(program)

.PHONY: dev up down token env web watch invoke trace migrate package redrive test unit e2e check bench

dev: ## everything, with demo data, until Ctrl-C
	@$(stack) dev

up: ## the same in the background, without demo data
	@$(stack) up

down: ## stop it; data stays
	@$(stack) down

token: ## a token: make token ACCOUNT=demo ROLE=ingest
	@$(stack) token --account $(ACCOUNT) --role $(ROLE) --ttl $(TTL)

env: ## addresses and settings of the running stack
	@$(stack) env

web: ## build the dashboard, which the function get-dashboard holds
	@$(stack) web

watch: ## rebuild and serve functions on every change, against the running stack
	@$(stack) watch

invoke: ## hand a function its sample of events/ while `make watch` runs: make invoke NAME=track-event
	@$(stack) invoke $(NAME)

trace: ## follow a request through the functions, by the x-request-id of its answer: make trace ID=5f3c…
	@$(stack) trace $(ID)

migrate: ## bring the ClickHouse at CLICKHOUSE_URL to the state that the functions expect
	@cargo run --quiet -p clickhouse-migrations

package: ## the functions as they are deployed, into target/lambda: make package ARCH=x86_64
	@$(stack) package $(ARCH)

redrive: ## send the dead-letter queue's content back
	@$(stack) redrive

# SLOW=1 runs the tests that take minutes too.
test: ## every test, against a fresh stack of its own
	@$(stack) test

unit: ## tests that need no stack
	@$(stack) unit

e2e: ## end-to-end tests, against a test stack that stays: make e2e ONLY="search limits::"
	@$(stack) e2e $(ONLY)

check: ## format, lints, docs, licences, dependencies, template
	@$(stack) check

# Builds what is measured of a checkout, in its folder and its build folder. As deployed: each function with the features that it
# asks for itself, and not what the tools beside it want.
define build_for_bench
cd $(1) && \
cargo build --quiet --bin stack --bin demo && \
$(2)/debug/stack web && \
cargo build --release $(patsubst $(1)/functions/%,-p %,$(wildcard $(1)/functions/*)) && \
cargo build --release -p tests --bins
endef

# ONLY="accept search" measures some figures. AGAINST=FOLDER compares with another checkout of the project, such as a git worktree
# of an older commit. SHORT=1 only shows that everything works.
bench: ## figures beside their opponents: make bench ONLY="accept search", beside another checkout: make bench AGAINST=../older
	@$(call build_for_bench,.,$(or $(CARGO_TARGET_DIR),target))
	@$(if $(AGAINST),unset CARGO_TARGET_DIR && $(call build_for_bench,$(AGAINST),target))
	@$(or $(CARGO_TARGET_DIR),target)/release/bench $(if $(SHORT),--short) $(if $(AGAINST),--against $(AGAINST)) $(ONLY)
