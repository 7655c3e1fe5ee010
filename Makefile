# The same commands as npm's, under the names that operators try first.
.DEFAULT_GOAL := help
.PHONY: help build run test lint clean migrate-up migrate-down migrate-create docker-up docker-down docker-logs

help: ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

node_modules: package-lock.json
	npm ci
	@touch node_modules

build: node_modules ## Compile into dist/
	npm run build

run: node_modules ## Run the server in the foreground
	npm start

test: node_modules ## Run all tests
	npm test

lint: node_modules ## Check style and the direction of imports
	npm run lint

clean: ## Remove what build and tests made (not data/)
	rm -rf dist .dist-* coverage

migrate-up: node_modules ## Apply pending migrations
	npm run migrate -- up

migrate-down: node_modules ## Undo the newest migration
	npm run migrate -- down

migrate-create: node_modules ## Make an empty migration: make migrate-create NAME=add_things
	@test -n "$(NAME)" || { echo 'usage: make migrate-create NAME=add_things' >&2; exit 64; }
	npm run migrate -- create "$(NAME)"

docker-up: ## Start two servers and all they need in containers
	docker compose up --build --detach

docker-down: ## Stop the containers; their data stays
	docker compose down

docker-logs: ## Follow the server's log
	docker compose logs --follow app-1 app-2
