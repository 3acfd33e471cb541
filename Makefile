# Bare `make` prints what there is. Each module is built and tested on its own: a go.work would hide the version floor
# that plugins/go.mod promises to the gateways (docs/decisions).

SHELL       := /bin/bash
.SHELLFLAGS := -o pipefail -c
GO          ?= go
MODULES     := . plugins plugins/caddy plugins/tyk apiguard testbed
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
XCADDY      := github.com/caddyserver/xcaddy/cmd/xcaddy@v0.4.5
CADDY       := v2.11.9
FUZZTIME    ?= 10s
TESTFLAGS   ?= -timeout 25m

# Tyk's module cannot be had from a proxy: its binding is compiled against the contract in its testdata, by -modfile, and
# for a tool that does not know -modfile by a workspace.
CONTRACT    := GOFLAGS="-modfile=testdata/contract.mod $$GOFLAGS"

# each runs one command in every module, goes on after a failure, and fails at the end naming where.
define each
@failed=; for m in $(MODULES); do echo "== $$m: $(1)"; \
(cd $$m && case $$m in plugins/tyk) export $(or $(2),$(CONTRACT));; esac && $(1)) || failed="$$failed $$m"; done; \
if [ -n "$$failed" ]; then echo "FAILED in:$$failed ($(1))" >&2; exit 1; fi
endef

.PHONY: help
help: ## this list
	@awk -F ' ## ' '/^[a-z-]+:.* ## / {sub(/:.*/, "", $$1); printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## build and start the whole demo; GATEWAY_ADDR, ISSUER_ADDR, ADMIN_ADDR, DATA_DIR move it, TLS=1 is https
	@build/demo

.PHONY: build
build: ## build the demo into build/, showing that it is alive (Caddy takes two minutes the first time)
	@mkdir -p build
	@echo "Building the demo; the first time takes some minutes, since Caddy is compiled too."
	@$(GO) -C testbed build -v -o ../build/demo ./cmd/demo 2>&1 | testbed/progress

# Until the modules are published, a proxy need not say "not found" for them: "|off" goes on to the folders named here
# whatever it says.
.PHONY: caddy
caddy: ## build Caddy with the plugin into build/, by xcaddy
	@mkdir -p build
	@GOPROXY="$$($(GO) env GOPROXY | cut -d, -f1)|off" $(GO) run $(XCADDY) build $(CADDY) --output build/caddy \
	  --with github.com/phantomgate/phantomgate/plugins/caddy=./plugins/caddy \
	  --with github.com/phantomgate/phantomgate/plugins=./plugins
	@build/caddy list-modules | grep -x http.handlers.phantom_token >/dev/null && echo "build/caddy has phantomgate"

# TYK_SRC is the source tree of the gateway; without it Tyk's own compiler image is used, for TYK_VERSION.
.PHONY: tyk-plugin
tyk-plugin: ## build the Tyk plugin into build/phantomgate.so: TYK_VERSION=v5.14.0 (by Tyk's compiler image, needs Docker), or TYK_SRC=<its source>
ifdef TYK_SRC
	@plugins/tyk/build "$(TYK_SRC)" build/phantomgate.so
else
	@plugins/tyk/compile $(or $(TYK_VERSION),$(error say TYK_VERSION=v5.14.0, or TYK_SRC=<the gateway's source tree>)) build/phantomgate.so
endif

.PHONY: tyk-test
tyk-test: ## try the plugin in a real gateway: TYK_SRC=<its source> TYK_BIN=<the gateway, built from it>; needs redis-server
	@plugins/tyk/build "$(or $(TYK_SRC),$(error say TYK_SRC=<the gateway's source tree>))" build/phantomgate.so
	@cd plugins/tyk && $(CONTRACT) TYK_SRC=$(abspath $(TYK_SRC)) TYK_BIN=$(abspath $(or $(TYK_BIN),$(error say TYK_BIN=<the gateway, built from TYK_SRC>))) \
	  TYK_PLUGIN=$(CURDIR)/build/phantomgate.so $(GO) test -tags realtyk -count=1 -timeout 60m -run 'TestReal' $(TYK_TESTFLAGS) .

.PHONY: test
test: rules ## run the tests of every module
	$(call each,$(GO) test $(TESTFLAGS) ./...)

.PHONY: rules
rules: ## check the repository's rules: modules, imports, package comments
	@$(GO) -C testbed test -count=1 ./rules/

.PHONY: check
check: fmt vet staticcheck rules race ## all that a change has to pass: gofmt, vet, staticcheck, the rules, the tests with -race

# go vet has its own target, and says more.
.PHONY: race
race: ## run the tests of every module with the race detector
	$(call each,$(GO) test -race -vet=off $(TESTFLAGS) ./...)

.PHONY: fmt
fmt: ## name the files that gofmt would change, and fail if there are any
	@unformatted=$$(gofmt -l .) || exit 1; \
	if [ -n "$$unformatted" ]; then echo "gofmt -w these:" >&2; echo "$$unformatted" >&2; exit 1; fi

# vet and staticcheck read what the tests with -race are built from, or all that Caddy needs would be compiled once more.
.PHONY: vet
vet: ## go vet, in every module
	$(call each,$(GO) vet -race ./...)
	@echo "== plugins/tyk: go vet, what tyk-test runs too"; cd plugins/tyk && $(CONTRACT) $(GO) vet -race -tags realtyk .

.PHONY: staticcheck
staticcheck: export GOFLAGS := -race $(GOFLAGS)
staticcheck: build/tyk.work ## staticcheck, in every module
	@GOFLAGS= GOBIN=$(CURDIR)/build $(GO) install $(STATICCHECK)
	$(call each,$(CURDIR)/build/staticcheck ./...,GOWORK=$(CURDIR)/build/tyk.work)

build/tyk.work: plugins/tyk/go.mod
	@mkdir -p build
	@rm -f $@ && cd build && GOWORK=$(CURDIR)/$@ $(GO) work init ../plugins/tyk && \
	  $(GO) work edit -replace=github.com/TykTechnologies/tyk=../plugins/tyk/testdata/contract tyk.work

.PHONY: bench
bench: ## measure against the floor programs; prints a table, writes build/figures.json
	@mkdir -p build
	@$(GO) -C testbed run ./bench

.PHONY: faults
faults: ## do to feed, network, clocks and issuer what happens to them, and watch revocations; writes build/faults.json (FAULTS=short is quick)
	@mkdir -p build
	@$(GO) -C testbed run ./staleness

.PHONY: compose-test
compose-test: ## build docker-compose.yml, start it on free ports, walk through it, restart each part, and take it away (needs Docker)
	@COMPOSE_TEST=1 $(GO) -C testbed test -count=1 -v $(TESTFLAGS) ./compose

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (10s unless set)
	@failed=; while IFS=: read -r file func; do \
	  name=$${func#func }; echo "== $$(dirname $$file) $$name"; \
	  $(GO) -C $$(dirname $$file) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) . || failed="$$failed $$name"; \
	done < <(grep -roE --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sort); \
	if [ -n "$$failed" ]; then echo "FAILED:$$failed" >&2; exit 1; fi

.PHONY: clean
clean: ## remove what was built (never a DATA_DIR)
	rm -rf build
