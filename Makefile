# Every target makes what it needs (conf/environment.sh); none but `lock` needs a network twice.
SHELL := bash
IN_ENVIRONMENT := conf/environment.sh
CODE := lib jobs tests bench setup.py
PYTEST := python -m pytest

.DEFAULT_GOAL := help
.PHONY: help environment test test-slow check format conf docs lock package test-spark35 clean

help:  ## Show this list
	@sed -n 's/^\([a-z0-9-]*\):.*##  *\(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

environment:  ## Set up the development environment in .venv
	@$(IN_ENVIRONMENT)

test:  ## Run the everyday tests (PYTEST_ARGS="-k name" for some)
	@$(IN_ENVIRONMENT) $(PYTEST) -m "not slow" $(PYTEST_ARGS)

test-slow:  ## Run the others: whole jobs run again and again, ranks that hang
	@$(IN_ENVIRONMENT) $(PYTEST) -m slow $(PYTEST_ARGS)

check:  ## Check format, style and types
	@$(IN_ENVIRONMENT) ruff format --check $(CODE)
	@$(IN_ENVIRONMENT) ruff check $(CODE)
	@$(IN_ENVIRONMENT) mypy

format:  ## Put the code into its format
	@$(IN_ENVIRONMENT) ruff format $(CODE)
	@$(IN_ENVIRONMENT) ruff check --fix $(CODE)

test-spark35:  ## Run the tests on Spark 3.5, in an environment of its own
	@HEADROOM_SPARK=3.5 $(IN_ENVIRONMENT) $(PYTEST) $(PYTEST_ARGS)

conf:  ## Write the cluster definitions under conf/ anew
	@$(IN_ENVIRONMENT) python -m headroom.deployment

docs:  ## Write docs/tables.md from the schemas
	@$(IN_ENVIRONMENT) python tests/test_tables_page.py

lock:  ## Resolve the dependencies anew and write the lock files
	@$(IN_ENVIRONMENT) conf/lock.sh

package:  ## Make what a cluster needs, in dist/
	@./spark-submit.sh --package dist

clean:  ## Remove what can be made again, but for the environments
	rm -rf build dist lib/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find lib jobs tests -name __pycache__ -prune -exec rm -rf {} +
