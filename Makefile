# Callplane. Every recipe calls one of scripts/; each of them says at its top what it does.
.DEFAULT_GOAL := help
export MAKECMDGOALS

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## run one real call through the whole stack; what is missing is installed
	@scripts/demo

.PHONY: up
up: ## start the stack and wait until it is healthy
	@scripts/up

.PHONY: down
down: ## stop the stack; data stays
	@scripts/down

.PHONY: logs
logs: ## follow the logs; SERVICE=sessions for one service
	@scripts/logs $(SERVICE)

.PHONY: test
test: ## all tests, on real PostgreSQL, RabbitMQ and LiveKit, with the race detector
	@scripts/test

.PHONY: test-unit
test-unit: ## the tests that need no container
	@scripts/test unit

.PHONY: bench
bench: ## measure speed and size beside their floors; ONLY=create,get for parts, REPEAT=5, PROFILE=1
	@ONLY="$(ONLY)" REPEAT="$(REPEAT)" PROFILE="$(PROFILE)" scripts/bench

.PHONY: chaos
chaos: ## break everything under load and judge what was seen; SEED=7 MINUTES=30 (see scripts/chaos)
	@scripts/chaos

.PHONY: lint
lint: ## formatting, vet, linters, module versions
	@scripts/lint

.PHONY: generate
generate: ## write AsyncAPI, TypeScript types and the event catalogue anew from the schemas
	@scripts/generate

.PHONY: release-schemas
release-schemas: ## keep the schemas of the events as a release, which later ones must not break
	@scripts/release-schemas

.PHONY: build
build: ## build every module, and both services into bin/
	@scripts/build

.PHONY: clean
clean: ## stop the stack and remove its data, its settings and everything that was built here
	@scripts/down clean
