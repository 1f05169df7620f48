# 链办 · Lianban. `make help` says what there is.
.DEFAULT_GOAL := help
.PHONY: help setup check test test-anvil nightly demo clean lock

RUN := .venv/bin
# Where it is set, every one of our many processes would compile all our modules anew; the folder is ours to write to.
unexport PYTHONDONTWRITEBYTECODE

help: ## 列出命令 · what there is
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## 准备项目目录 · .venv and node_modules, nothing outside the folder
	@python=$$(sh scripts/find-python) && "$$python" scripts/setup.py

check: setup ## 快速检查(一分钟内)· formats, linters, types, unit tests
	@$(RUN)/python scripts/verify.py check

test: setup ## 全部测试 · everything: check, contracts, integration, acceptance
	@$(RUN)/python scripts/verify.py test

test-anvil: setup ## 合约测试在 Anvil 上 · the contract tests on Anvil, the devnet's node
	@$(RUN)/python scripts/verify.py anvil

nightly: setup ## 数小时的合约证据 · hours: long games, attacks, symbolic checks, sabotages, mutants
	@$(RUN)/python scripts/verify.py nightly

demo: setup ## 一键演示；ONCE=1 结束后退出 · the demo; ONCE=1 ends after the table
	@$(RUN)/lianban demo $(if $(filter-out 0,$(ONCE)),--once)

clean: ## 删除全部状态与安装 · removes all state and everything installed
	rm -rf var .cache .venv node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

lock: setup ## 重新解析依赖 · resolves the Python packages anew
	$(RUN)/uv pip compile pyproject.toml --group dev --group contracts --group analysis --universal --generate-hashes \
		--no-emit-index-url --no-header -p 3.11 -o requirements.lock
