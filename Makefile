# The few verbs of PiSync; the same ones everywhere. Each may be called again at any time.
# A fresh machine needs git, make and Node.js 20 or newer with npm: the pinned Node.js and everything else is fetched by `ready`.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
# Where scripts/bootstrap/node.sh keeps the pinned Node.js; where it has none for this platform, the machine's own is found behind it.
NODE_BIN := $(or $(filter /%,$(XDG_CACHE_HOME)),$(HOME)/.cache)/pisync/node-$(file < .node-version)/bin
export PATH := $(CURDIR)/node_modules/.bin:$(NODE_BIN):$(PATH)

# Where `check` writes the results of the unit tests (used by `make test`).
JEST_JSON ?=

.PHONY: help
help: ## what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ready-cluster ## a cluster, the operator, a region, 1,001 devices, two kills and a verdict
	@node scripts/demo/main.ts

.PHONY: test
test: ready-cluster ## check, integration, end to end (the long faults are in `make faults`); the last line counts
	@node scripts/test/main.ts

.PHONY: check
check: ready ## about four minutes, no servers: format, lint, types, imports, dead code, generated files, unit tests
	@node scripts/check/main.ts $(if $(JEST_JSON),--jest-json "$(JEST_JSON)")

.PHONY: up
up: ready-cluster ## the local cluster alone, with the images in it
	@node scripts/images/main.ts build
	@node scripts/cluster/main.ts up
	@node scripts/cluster/main.ts load-images

.PHONY: down
down: ready ## takes the local cluster away and leaves nothing behind
	@node scripts/cluster/main.ts down

.PHONY: status
status: ready ## what the local cluster is doing
	@node scripts/cluster/main.ts status

.PHONY: bench
bench: ready-cluster ## the operator at rest, then speed against two baselines, into out/bench.json [ARGS=--quick]. REGION=1: a whole region instead [COMPARE=REV] [ARGS=--help]
	@node scripts/test/main.ts --bench $(if $(REGION),--region --) $(if $(COMPARE),--compare $(COMPARE)) $(value ARGS)

.PHONY: faults
faults: ready-cluster ## kills, freezes, cuts off and changes things while devices sync, with the ledger as judge; then calls that mean no good
	@node scripts/test/main.ts --faults

.PHONY: simulate
simulate: ready ## the way of a batch in worlds of one seed each, with faults [SEEDS=10000] [FROM=1]. SEED=123: one, with its story. MUTANTS=1: known mistakes, until caught
	@node simulation/main.ts $(if $(MUTANTS),--mutants,$(if $(SEED),--seed $(SEED),$(if $(SEEDS),--seeds $(SEEDS)) $(if $(FROM),--from $(FROM)))) $(value ARGS)

.PHONY: images
images: ready-images ## container images of this checkout
	@node scripts/images/main.ts build

.PHONY: charts
charts: generate ## packages of both Helm charts, in out/charts
	@node scripts/charts/main.ts out/charts

.PHONY: generate
generate: ready ## the CRD, its documentation and the charts' generated parts
	@node operator/src/api/generate.ts

.PHONY: lock
lock: ## writes package-lock.json after a change of dependencies, and installs from it into an empty folder
	@node=$$(sh scripts/bootstrap/node.sh) && PATH="$$(dirname "$$node"):$$PATH" node scripts/lock/main.ts write

.PHONY: fmt
fmt: ready ## formats every file
	@prettier --write --log-level warn .

.PHONY: clean
clean: ## removes what was built in this checkout (caches and the cluster stay)
	@rm -rf out .tsbuild node_modules services/dashboard/dist

# Node.js of the exact version, and the npm packages of package-lock.json.
.PHONY: ready
ready:
	@node=$$(sh scripts/bootstrap/node.sh) && "$$node" scripts/bootstrap/main.ts packages

# That, and what images are made of.
.PHONY: ready-images
ready-images:
	@node=$$(sh scripts/bootstrap/node.sh) && "$$node" scripts/bootstrap/main.ts images

# That, and what a local cluster is made of, all at the same time.
.PHONY: ready-cluster
ready-cluster:
	@node=$$(sh scripts/bootstrap/node.sh) && "$$node" scripts/bootstrap/main.ts cluster
